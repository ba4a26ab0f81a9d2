# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Images: what they are made from, the arguments that make them, and a build whose progress can be watched."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import threading
import time
import typing as t

#: Label that holds the checksum of everything an image was made from.
INPUTS_LABEL = "io.private-ai.chatbot.inputs"

#: Where a build finds the certificates of the host, in the image's own place for them.
CA_TARGET = "/etc/ssl/certs/ca-certificates.crt"

#: Bundles of the distributions, in the order in which they are looked for.
CA_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
)

#: Seconds after which a silent step says that it still works.
HEARTBEAT = 15.0

_STEP = re.compile(r"^(?:\[\d+/\d+\] )?STEP (\d+)(?:/(\d+))?: (.*)$")


def context_digest(context: str, values: t.Mapping[str, t.Any]) -> str:
    """Return the SHA-256 over every file below ``context`` (path, mode, content) and over ``values``.

    OSError when a file cannot be read.
    """
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(context):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            path = os.path.join(folder, name)
            entry = os.path.relpath(path, context)
            if os.path.islink(path):
                digest.update(f"link {entry} {os.readlink(path)}\0".encode())
                continue
            executable = bool(os.stat(path).st_mode & 0o100)
            with open(path, "rb") as stream:
                content = hashlib.sha256(stream.read()).hexdigest()
            digest.update(f"file {entry} {executable} {content}\0".encode())
    digest.update(json.dumps(values, sort_keys=True).encode())
    return digest.hexdigest()


def build_argv(params: t.Mapping[str, t.Any], inputs: str, ca_bundle: str | None) -> list[str]:
    """Return the arguments of ``podman build``; the tag is set only when everything has worked."""
    argv = ["build", "--layers=false", "--force-rm", f"--tag={params['name']}", f"--label={INPUTS_LABEL}={inputs}"]
    if params.get("containerfile"):
        argv.append(f"--file={params['containerfile']}")
    argv += [f"--ulimit={name}={value}" for name, value in sorted((params.get("ulimits") or {}).items())]
    if ca_bundle:
        argv.append(f"--volume={ca_bundle}:{CA_TARGET}:ro")
    argv += [f"--volume={volume}" for volume in params.get("volumes") or []]
    argv += [f"--build-arg={name}={value}" for name, value in sorted((params.get("build_args") or {}).items())]
    return [*argv, params["context"]]


def host_ca_bundle(wanted: str | None) -> str | None:
    """Return the CA bundle that a build gets; ValueError when the wanted one does not exist."""
    if wanted:
        if not os.path.isfile(wanted):
            raise ValueError(f"ca_bundle is {wanted!r}, which is not a file; give the path of a PEM bundle on this host")
        return wanted
    return next((path for path in CA_BUNDLES if os.path.isfile(path)), None)


def plain_progress(line: str) -> str | None:
    """Return what a line of build output says in plain words, None when it says nothing to a person."""
    if line.startswith("progress: "):
        return line[len("progress: ") :].strip()
    step = _STEP.match(line)
    if step and step.group(2):
        return f"step {step.group(1)} of {step.group(2)}"
    return None


class Progress:
    """Appends what happens to a file that somebody may be watching, one plain line at a time."""

    def __init__(self, path: str | None, title: str) -> None:
        self.path = path
        self.title = title
        self.started = time.monotonic()
        self.last = ""
        self.said_at = 0.0
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Append one line; a file that cannot be written is not worth a failed build."""
        with self._lock:
            self.last, self.said_at = text, time.monotonic()
            if not self.path:
                return
            try:
                with open(self.path, "a", encoding="utf-8") as stream:
                    stream.write(f"{self.title}: {text} ({int(time.monotonic() - self.started)} s)\n")
            except OSError:
                self.path = None

    def beat(self) -> None:
        """Say that it still works when nothing was said for a while."""
        if time.monotonic() - self.said_at >= HEARTBEAT:
            self.say(f"still working, {self.last}" if self.last and "still working" not in self.last else self.last)


class Finished(t.NamedTuple):
    """What a watched command left: exit status and the lines it wrote last."""

    rc: int
    tail: list[str]
    last_step: str


def watch(
    argv: t.Sequence[str],
    log_file: str | None,
    progress: Progress,
    environ: t.Mapping[str, str] | None = None,
    timeout: float = 3600,
) -> Finished:
    """Run ``argv``, its output line by line into ``log_file`` and, in plain words, into ``progress``.

    :param timeout: seconds after which the command is killed; the exit status is 124 then.
    """
    tail: list[str] = []
    step = ""
    log = open(log_file, "w", encoding="utf-8") if log_file else None  # pylint: disable=consider-using-with
    process = subprocess.Popen(  # pylint: disable=consider-using-with
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, **(environ or {})},
    )
    done = threading.Event()
    late = threading.Event()

    def tend() -> None:
        end = time.monotonic() + timeout
        while not done.wait(1):
            progress.beat()
            if time.monotonic() > end:
                late.set()
                process.kill()
                return

    threading.Thread(target=tend, daemon=True).start()
    try:
        for raw in t.cast("t.Iterable[str]", process.stdout):
            line = raw.rstrip()
            if log:
                log.write(line + "\n")
                log.flush()
            if line.strip():
                tail = [*tail[-29:], line]
            if line.startswith(("STEP ", "[")) and _STEP.match(line):
                step = line
            said = plain_progress(line)
            if said:
                progress.say(said)
        rc = process.wait()
    finally:
        done.set()
        if log:
            log.close()
    return Finished(124 if late.is_set() else rc, tail, step)
