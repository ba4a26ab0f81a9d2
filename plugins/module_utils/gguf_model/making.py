# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Making one GGUF file: the only place of it that runs a container and writes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
import typing as t

from ..files import Checksums, settle, sha256_of, write_file
from ..gguf import GgufError, describe, read_header
from ..podman.client import PodmanClient, PodmanError
from ..podman.tool import hand_over, run_tool
from ..podman.watch import Finished, Progress
from . import manifest, plan, source

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

#: Exit status of make-gguf for a model that cannot be converted.
_REFUSED = 2


class Refused(ValueError):
    """The converter cannot take this model; ``supported`` is what it could."""

    def __init__(self, message: str, supported: list[str] | None) -> None:
        super().__init__(message)
        self.supported = supported


class ModelFile:
    """The file at ``dest``: what it should be, what it is, and how it becomes so."""

    def __init__(self, module: AnsibleModule, client: PodmanClient) -> None:
        self.module = module
        self.params: dict[str, t.Any] = module.params
        self.client = client
        self.dest = os.path.abspath(self.params["dest"])
        self.source = os.path.abspath(self.params["source"]) if self.params["source"] else ""
        self.checksums = Checksums(self.params["checksum_cache"], self.params["verify"] == "quick")
        self.progress = Progress(
            self.params["progress_file"], f"converting {self.params['name'] or self.dest}"
        )
        self.seconds = 0.0
        self.files: dict[str, str] = {}
        self.wanted: dict[str, t.Any] = {}
        self._image: dict[str, t.Any] | None = None

    # What it should be and what it is

    def desired(self) -> dict[str, t.Any]:
        """Return the wanted state; ValueError with the remedy when it cannot be."""
        self._check_options()
        self.files = source.input_files(self.source)
        card = source.card_digest(self.source)
        given = self.params["provenance"]
        provenance = source.check_provenance(
            source.recorded_provenance(self.source) if given is None else given
        )
        files = {
            name: {"size": os.path.getsize(path), "sha256": self.checksums.sha256(path)}
            for name, path in self.files.items()
        }
        settings = {
            "name": self.params["name"] or plan.default_name(provenance),
            "outtype": self.params["outtype"],
            "quantization": self.params["quantization"],
        }
        self.wanted = plan.inputs(files, card, settings, provenance, self._converter())
        return manifest.desired(self.wanted, self.params["keep_intermediate"])

    def _check_options(self) -> None:
        params = self.params
        if not self.dest.endswith(".gguf") or os.path.isdir(self.dest):
            raise ValueError(
                f"dest is {params['dest']!r}; give the path of a file with a name that ends in .gguf"
            )
        if params["timeout"] < 1 or params["threads"] < 0:
            raise ValueError(
                f"timeout is {params['timeout']} (at least 1), threads is {params['threads']} (at least 0)"
            )
        if params["outtype"] == "q8_0" and params["quantization"] != "none":
            raise ValueError(
                f"outtype q8_0 cannot be quantised to {params['quantization']} without losing twice; "
                "choose f16, bf16 or f32"
            )

    def _converter(self) -> str:
        # Without the image, for an answer whether it is needed, its tag has to do.
        image = self.params["image"]
        self._image = self.client.inspect("image", image)
        if self._image is None:
            return f"llama-cpp-python {image.rpartition(':')[2]}"
        name = (self._image.get("Labels") or {}).get(plan.CONVERTER_LABEL)
        if not name:
            raise ValueError(
                f"the image {image} has no label {plan.CONVERTER_LABEL} and so is no converter; "
                "build it from roles/private_model/files/images/converter of this collection"
            )
        return str(name)

    def observe(self) -> dict[str, t.Any]:
        """Return the present state; empty when there is no file."""
        return manifest.observe(self.dest, self.checksums)

    def needs(self) -> plan.Needs:
        """Return what making it takes."""
        paths = {name: path for name, path in self.files.items() if name.endswith(".safetensors")}
        others = sum(os.path.getsize(path) for name, path in self.files.items() if name not in paths)
        return plan.needs(
            source.weights(paths.values()), self.wanted["outtype"], self.wanted["quantization"], others
        )

    def report(
        self, changed: bool, before: t.Mapping[str, t.Any], after: t.Mapping[str, t.Any]
    ) -> dict[str, t.Any]:
        """Return the result of the module with what is there now."""
        recorded = manifest.read(self.dest) if os.path.isfile(self.dest) else {}
        described = None
        if recorded:
            described = describe(
                read_header(self.dest), os.path.getsize(self.dest), recorded["file"]["sha256"]
            )
        return {
            "changed": changed,
            "model": described,
            "manifest": recorded or None,
            "manifest_path": manifest.path_of(self.dest),
            "diff": {"before": dict(before), "after": dict(after)},
        }

    def belonging(self) -> list[str]:
        """Return the paths that removing takes away."""
        return manifest.belonging(self.dest)

    def save_checksums(self) -> None:
        """Keep what was read, for the next run."""
        if self.module.check_mode:
            return
        try:
            self.checksums.save()
        except OSError as error:
            self.module.warn(
                f"checksum_cache {self.params['checksum_cache']!r} cannot be written: {error.strerror}"
            )

    # How it becomes so

    def check(self, before: t.Mapping[str, t.Any], after: t.Mapping[str, t.Any]) -> None:
        """Find out without writing what would stop it."""
        if not manifest.must_be_made(before, after):
            return
        self._must_fit()
        if self._image is None:
            self.module.warn(
                f"the image {self.params['image']} does not exist yet; the converter was not asked"
            )
            return
        self._run("check", None)

    def bring_about(self, after: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """Make the file or put right what is beside it, alone; return what was there then."""
        folder = os.path.dirname(self.dest)
        if not os.path.isdir(folder):
            raise ValueError(
                f"the directory of dest {self.dest!r} does not exist; make it first (ansible.builtin.file)"
            )
        with self._alone(folder):
            # Another run may have made it meanwhile.
            before = manifest.observe(self.dest, self.checksums)
            if manifest.must_be_made(before, after):
                self._make()
            elif before != after:
                os.chmod(self.dest, 0o644)
                self._drop_intermediate(bool(after["intermediate"]))
            return before

    def remove(self) -> None:
        """Remove the file with all that belongs to it, the manifest last: it knows the rest."""
        with self._alone(os.path.dirname(self.dest)):
            own = manifest.path_of(self.dest)
            for path in sorted(self.belonging(), key=lambda path: path == own):
                os.unlink(path)

    @contextlib.contextmanager
    def _alone(self, folder: str) -> t.Iterator[None]:
        # The lock is on the directory itself, so that no file of it stays. Killed runs lose it at once.
        handle = os.open(folder, os.O_RDONLY)
        try:
            end = time.monotonic() + self.params["timeout"]
            said = False
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if time.monotonic() > end:
                        raise ValueError(
                            f"another run works in {folder} and did not end within "
                            f"{self.params['timeout']} s (option timeout); wait for it, or end it"
                        ) from error
                    if not said:
                        self.progress.say("waiting for another run in the same directory")
                        said = True
                    time.sleep(0.5)
            yield
        finally:
            os.close(handle)

    def _must_fit(self) -> None:
        needed = self.needs()
        folder = os.path.dirname(self.dest)
        # In check mode a task before this one would have made it.
        while not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        found = os.statvfs(folder)
        free = found.f_bavail * found.f_frsize
        if free < needed.disk:
            raise ValueError(
                f"{folder} has {free} bytes free, making {os.path.basename(self.dest)} needs about "
                f"{needed.disk} (outtype {self.wanted['outtype']}, quantization "
                f"{self.wanted['quantization']}; what is there stays until then); make room or choose "
                "another directory"
            )
        with open("/proc/meminfo", encoding="ascii") as stream:
            memory = plan.available_memory(stream.read())
        limit = self.params["memory_limit"]
        limits = [memory] if memory is not None else []
        limits += [plan.size_in_bytes(limit)] if limit else []
        if limits and min(limits) < needed.memory:
            raise ValueError(
                f"{min(limits)} bytes of memory are available (memory_limit: {limit or 'none'}), converting "
                f"this model needs about {needed.memory}; end other programs, raise memory_limit, or use a "
                "larger host"
            )

    def _make(self) -> None:
        started = time.monotonic()
        source.must_be_readable(plan.mounted(self.files, self.source, self.wanted["card"]).values())
        self._must_fit()
        if self._image is None:
            raise ValueError(f"the image {self.params['image']} does not exist; build it first")
        work = os.path.join(os.path.dirname(self.dest), f".{os.path.basename(self.dest)}.work")
        shutil.rmtree(work, ignore_errors=True)
        os.mkdir(work, 0o700)
        try:
            output = os.path.join(work, "output")
            os.mkdir(output)
            hand_over(output, os.geteuid() != 0)
            self._run("make", output)
            record = self._place(output)
        finally:
            shutil.rmtree(work, ignore_errors=True)
            if self.progress.problem:
                self.module.warn(self.progress.problem)
        # It makes the file count, so it comes when nothing is left to be done: no run would come back for it.
        write_file(manifest.path_of(self.dest), manifest.encode(record), 0o644)
        self.checksums.remember(self.dest, record["file"]["sha256"])
        self.seconds = round(time.monotonic() - started, 1)
        self.progress.say("done")

    def _run(self, command: str, output: str | None) -> None:
        name = plan.container_name(self.dest)
        files = plan.mounted(self.files, self.source, self.wanted["card"])
        params = plan.tool_params(command, self.wanted, files, self.params, name, output)
        log = self.params["log_file"] if command == "make" else None
        done, said = run_tool(self.client, params, self.progress, log, self.params["timeout"])
        if done.rc:
            raise self._failure(done, said or {})

    def _failure(self, done: Finished, said: dict[str, t.Any]) -> Exception:
        if done.rc == _REFUSED and said:
            return Refused(f"{self.source} cannot be converted: {said['reason']}", said.get("supported"))
        reason = f"failed with exit status {done.rc}"
        if done.rc == 124:
            reason = f"did not end within {self.params['timeout']} s (option timeout)"
        elif done.rc == 137:
            reason = "was killed, most likely because memory ran out (option memory_limit, or the host's own)"
        where = f"; everything it said is in {self.params['log_file']}" if self.params["log_file"] else ""
        message = f"converting {self.source} {reason}: {' | '.join(done.tail[-5:])}{where}"
        return PodmanError(message, rc=done.rc, stdout="\n".join(done.tail))

    def _place(self, output: str) -> dict[str, t.Any]:
        """Give what was made its names; return its manifest."""
        self.progress.say("checking the result")
        made = os.path.join(output, "model.gguf")
        header, size = read_header(made), os.path.getsize(made)
        if size < header.size:
            raise GgufError(f"the converter left {size} bytes of {header.size}; look for errors of the disk")
        digest = sha256_of(made)
        between = os.path.join(output, "intermediate.gguf")
        kept: dict[str, t.Any] | None = None
        target = manifest.intermediate_of(self.dest, self.wanted["outtype"])
        if self.params["keep_intermediate"] and os.path.isfile(between):
            kept = {
                "name": os.path.basename(target),
                "size": os.path.getsize(between),
                "sha256": sha256_of(between),
            }
        self._drop_intermediate(False)
        for temporary, path in [(between, target), (made, self.dest)]:
            if temporary == made or kept:
                if os.geteuid() == 0:
                    os.chown(temporary, 0, 0)
                settle(temporary, path)
        return manifest.build(self.wanted, self.dest, size, digest, kept)

    def _drop_intermediate(self, wanted: bool) -> None:
        if wanted:
            return
        own = {self.dest, manifest.path_of(self.dest)}
        for path in set(self.belonging()) - own:
            os.unlink(path)
