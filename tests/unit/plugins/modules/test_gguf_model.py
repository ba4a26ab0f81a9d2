# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Making a GGUF file, with a stand-in for podman: what is compared, made, kept and left behind."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.gguf_model import making
from ansible_collections.private_ai.chatbot.plugins.module_utils.gguf_model.source import SourceError
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.client import (
    PodmanClient,
    PodmanError,
    subprocess_run_command,
)
from ansible_collections.private_ai.chatbot.plugins.modules import gguf_model

DEMO = next(Path(gguf_model.__file__).parents[2].glob("roles/private_model/files/demo_model/demo.gguf"))

#: Stands in for podman: has one image, notes its calls, and as a container copies the demo model to /work.
PODMAN = """#!{python}
import json, os, shutil, sys
here = os.path.dirname(__file__)
settings = json.load(open(os.path.join(here, "settings.json")))
words = sys.argv[1:]
open(os.path.join(here, "calls"), "a").write(json.dumps(words) + "\\n")
if words[:2] == ["image", "inspect"]:
    if not settings["image"]:
        sys.exit("Error: no such image")
    print(json.dumps([{{"Id": "1", "Labels": settings["labels"]}}]))
elif words[:2] == ["container", "inspect"]:
    if not settings["left"]:
        sys.exit("Error: no such container")
    print(json.dumps([{{"Id": "1"}}]))
elif words[0] == "run":
    work = [word for word in words if word.endswith("target=/work")]
    if "make" in words and not settings["status"]:
        source = work[0].split("source=")[1].split(",")[0]
        shutil.copy(settings["demo"], os.path.join(source, "model.gguf"))
        if json.loads(words[-1])["keep_intermediate"]:
            shutil.copy(settings["demo"], os.path.join(source, "intermediate.gguf"))
    print(settings["say"])
    sys.exit(settings["status"])
"""


class Module:
    """A stand-in for AnsibleModule."""

    def __init__(self, check_mode: bool, params: dict[str, Any]) -> None:
        self.params = {name: option.get("default") for name, option in gguf_model.ARGUMENTS.items()}
        self.params.update(
            {name: str(value) if isinstance(value, Path) else value for name, value in params.items()}
        )
        self.check_mode = check_mode
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


class Host:
    """A model, a place for the result, and the stand-in for podman."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source, self.dest = folder / "source", folder / "out" / "model.gguf"
        self.source.mkdir()
        self.dest.parent.mkdir()
        (self.source / "config.json").write_text("{}")
        head = json.dumps({"a": {"dtype": "F16", "shape": [4], "data_offsets": [0, 8]}}).encode()
        weights = struct.pack("<Q", len(head)) + head + bytes(8)
        (self.source / "model.safetensors").write_bytes(weights)
        for path in self.source.iterdir():
            path.chmod(0o644)
        self.podman = folder / "podman"
        self.podman.write_text(PODMAN.format(python=sys.executable))
        self.podman.chmod(0o755)
        self.set()

    def set(self, **changes: Any) -> None:
        """What podman has and what its container does."""
        settings = {"image": True, "labels": {"io.private-ai.chatbot.converter": "llama-cpp-python 0.3.36"}}
        settings |= {
            "left": False,
            "demo": str(DEMO),
            "status": 0,
            "say": 'result: {"architecture": "qwen2"}',
            **changes,
        }
        (self.folder / "settings.json").write_text(json.dumps(settings))

    def run(self, check_mode: bool = False, **params: Any) -> dict[str, Any]:
        """Run the module."""
        self.module = Module(check_mode, {"source": self.source, "dest": self.dest, **params})
        client = PodmanClient(subprocess_run_command, executable=str(self.podman))
        return gguf_model.run(self.module, making.ModelFile(self.module, client))

    def containers(self) -> list[str]:
        """What was run in containers so far."""
        lines = (self.folder / "calls").read_text().splitlines()
        calls = [json.loads(line) for line in lines]
        return [words[-2] for words in calls if words[0] == "run"]

    def left(self) -> list[str]:
        """The names beside the result."""
        return sorted(os.listdir(self.dest.parent))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_made_once(host: Host) -> None:
    foreseen = host.run(True)
    assert foreseen["changed"] and foreseen["model"] is None and host.left() == []
    made = host.run()
    assert made["changed"] and made["diff"] == foreseen["diff"] and made["model"]["architecture"] == "qwen2"
    assert host.left() == ["model.gguf", "model.gguf.manifest.json"]
    assert made["manifest"]["file"]["sha256"] == made["model"]["sha256"]
    assert not host.run()["changed"] and not host.run(True)["changed"]
    assert host.containers() == ["check", "make"]
    other = host.dest.parent / "other.gguf"
    again = host.run(dest=other)["manifest"]
    assert {**again, "file": {**again["file"], "name": "model.gguf"}} == made["manifest"]


@pytest.mark.parametrize(
    "change",
    [{"quantization": "Q4_K_M"}, {"outtype": "bf16"}, {"name": "x"}, {"provenance": {"commit": "1"}}],
)
def test_made_again_for_other_settings(host: Host, change: dict[str, Any]) -> None:
    host.run()
    assert host.run(**change)["changed"] and not host.run(**change)["changed"]


def test_made_again_for_another_source_converter_or_file(host: Host) -> None:
    host.run()
    (host.source / "tokenizer.json").write_text("{}")
    assert host.run()["changed"] and not host.run()["changed"]
    host.set(labels={"io.private-ai.chatbot.converter": "llama-cpp-python 9"})
    assert host.run()["changed"] and not host.run()["changed"]
    host.dest.write_bytes(b"GGUF damaged")
    repaired = host.run()
    assert repaired["changed"] and repaired["diff"]["before"]["content"] == "not as its manifest says"
    assert host.dest.read_bytes() == DEMO.read_bytes()


def test_mode_is_put_right_without_converting(host: Host) -> None:
    host.run()
    host.dest.chmod(0o600)
    repaired = host.run()
    assert repaired["changed"] and repaired["diff"]["before"]["mode"] == "0600"
    assert repaired["diff"]["after"]["mode"] == "0644" and host.containers() == ["make"]
    assert not host.run()["changed"]


def test_intermediate_is_kept_when_asked(host: Host) -> None:
    wanted: dict[str, Any] = {"quantization": "Q8_0", "keep_intermediate": True}
    host.run(**wanted)
    assert host.left() == ["model.f16.gguf", "model.gguf", "model.gguf.manifest.json"]
    assert not host.run(**wanted)["changed"]
    assert host.run(quantization="Q8_0")["changed"]
    assert host.left() == ["model.gguf", "model.gguf.manifest.json"]
    # It is gone from the disk, but the manifest still names it: that is no reason to make anything.
    assert not host.run(quantization="Q8_0")["changed"]
    assert host.run(**wanted)["changed"] and "model.f16.gguf" in host.left()


def test_intermediate_of_other_settings_goes(host: Host) -> None:
    host.run(quantization="Q8_0", keep_intermediate=True)
    host.run(quantization="Q8_0", keep_intermediate=True, outtype="bf16")
    assert host.left() == ["model.bf16.gguf", "model.gguf", "model.gguf.manifest.json"]
    host.run(quantization="Q4_0")
    assert host.left() == ["model.gguf", "model.gguf.manifest.json"]


def test_unchanged_reads_no_large_file_again(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = host.folder / "checksums.json"
    for path in host.source.iterdir():
        os.utime(path, (1, 1))
    # A file changed a moment ago is not remembered.
    monkeypatch.setattr(making.Checksums, "SETTLED", -1.0)
    host.run(checksum_cache=cache)
    read: list[str] = []
    original = making.Checksums.sha256.__globals__["sha256_of"]
    monkeypatch.setitem(
        making.Checksums.sha256.__globals__, "sha256_of", lambda path: (read.append(path), original(path))[1]
    )
    assert not host.run(checksum_cache=cache)["changed"] and not read
    assert not host.run(checksum_cache=cache, verify="full")["changed"]
    assert sorted(os.path.basename(path) for path in read) == [
        "config.json",
        "model.gguf",
        "model.safetensors",
    ]


def test_without_the_image(host: Host) -> None:
    host.set(image=False)
    foreseen = host.run(True)
    assert foreseen["changed"] and "does not exist yet" in host.module.warnings[0]
    with pytest.raises(ValueError, match=r"the image localhost/private-ai/converter:\S+ does not exist"):
        host.run()
    host.set()
    host.run()
    host.set(image=False)
    assert not host.run()["changed"], "a removed image is no reason to make it again"
    host.set(labels={})
    with pytest.raises(ValueError, match="has no label"):
        host.run()


def test_model_that_the_converter_refuses(host: Host) -> None:
    host.run()
    (host.source / "config.json").write_text("{ }")
    kept = host.dest.read_bytes()
    host.set(status=2, say='result: {"reason": "its architecture X", "supported": ["Y"]}')
    for check_mode in (True, False):
        with pytest.raises(making.Refused, match="source cannot be converted: its architecture X") as refused:
            host.run(check_mode)
        assert refused.value.supported == ["Y"]
    assert host.dest.read_bytes() == kept and host.left() == ["model.gguf", "model.gguf.manifest.json"]


@pytest.mark.parametrize(
    "status, message",
    [(137, "was killed, most likely because memory ran out"), (1, "exit status 1: last words")],
)
def test_container_that_fails(host: Host, status: int, message: str) -> None:
    host.set(status=status, say="last words")
    with pytest.raises(PodmanError, match=message) as failed:
        host.run(log_file=host.folder / "log")
    assert str(host.folder / "log") in failed.value.message and host.left() == []


def test_result_that_is_no_whole_model(host: Host, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(DEMO.read_bytes()[:-1000])
    host.set(demo=str(cut))
    with pytest.raises(ValueError, match=r"left \d+ bytes of \d+"):
        host.run()
    assert host.left() == []


def test_what_a_killed_run_left(host: Host) -> None:
    work = host.dest.parent / ".model.gguf.work" / "output"
    work.mkdir(parents=True)
    (work / "model.gguf").write_bytes(b"half")
    host.set(left=True)
    assert host.run()["changed"] and host.left() == ["model.gguf", "model.gguf.manifest.json"]
    lines = [json.loads(line) for line in (host.folder / "calls").read_text().splitlines()]
    name = next(word for words in lines if words[0] == "run" for word in words if word.startswith("--name="))
    removed = ["rm", "--force", "--ignore", name.removeprefix("--name=")]
    assert lines.index(removed) < next(at for at, words in enumerate(lines) if words[0] == "run")


def test_killed_while_it_is_put_in_place(cut_everywhere: Callable[..., int]) -> None:
    """The file is the old one or the new one, whole, and what its manifest says of it is never wrong."""
    host: Host
    old, new = DEMO.read_bytes(), DEMO.read_bytes().replace(b"general.name", b"general.nami", 1)
    other: dict[str, Any] = {"outtype": "bf16", "quantization": "Q4_K_M", "keep_intermediate": True}

    def prepare(folder: Path) -> Callable[[], Any]:
        nonlocal host
        host = Host(folder)
        host.run(keep_intermediate=True, quantization="Q8_0")
        (folder / "new.gguf").write_bytes(new)
        host.set(demo=str(folder / "new.gguf"))
        return lambda: host.run(**other)

    def look() -> None:
        assert host.dest.read_bytes() in (old, new)
        finished = host.run(**other)
        assert host.dest.read_bytes() == new and not host.run(**other)["changed"]
        assert finished["manifest"]["inputs"]["quantization"] == "Q4_K_M"
        left = ["model.bf16.gguf", "model.gguf", "model.gguf.manifest.json"]
        assert [name for name in host.left() if name != ".model.gguf.work"] == left
        work = host.dest.parent / ".model.gguf.work"
        assert not work.exists() or os.listdir(work) == [], "nobody would come back for it"

    assert cut_everywhere(prepare, look) >= 5


def test_two_runs(host: Host) -> None:
    handle = os.open(host.dest.parent, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(
        ValueError, match=r"another run works in .* within 1 s \(option timeout\); wait for it"
    ):
        host.run(timeout=1, progress_file=host.folder / "progress")
    assert "waiting for another run" in (host.folder / "progress").read_text()
    assert host.run(True)["changed"], "looking waits for nobody"
    os.close(handle)
    assert host.run()["changed"]


def test_not_enough_room_or_memory(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    for check_mode in (True, False):
        with pytest.raises(ValueError, match=r"1024 bytes of memory are available \(memory_limit: 1k\)"):
            host.run(check_mode, memory_limit="1k")
    real = os.statvfs(host.dest.parent)

    class Full:
        f_bavail, f_frsize = 1, real.f_frsize

    monkeypatch.setattr(os, "statvfs", lambda _: Full)
    for check_mode in (True, False):
        with pytest.raises(
            ValueError, match=rf"has {real.f_frsize} bytes free, making model.gguf needs about"
        ):
            host.run(check_mode)
    assert host.left() == [] and not (host.folder / "calls").read_text().count('"run"')


@pytest.mark.parametrize(
    "params, message",
    [
        ({"dest": "/x/model.bin"}, "ends in .gguf"),
        ({"timeout": 0}, "at least 1"),
        ({"outtype": "q8_0", "quantization": "Q4_K_M"}, "without losing twice"),
        ({"provenance": {"commit": "/srv"}}, "looks like a path"),
    ],
)
def test_options_that_do_not_fit(host: Host, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        host.run(**params)


def test_files_that_others_cannot_read(host: Host) -> None:
    (host.source / "model.safetensors").chmod(0o600)
    with pytest.raises(SourceError, match=r"chmod a\+r"):
        host.run()
    (host.source / "model.safetensors").chmod(0o644)
    with pytest.raises(ValueError, match="make it first"):
        host.run(dest=host.folder / "none" / "model.gguf")


def test_absent(host: Host) -> None:
    host.run(quantization="Q8_0", keep_intermediate=True)
    foreseen = host.run(True, state="absent")
    assert foreseen["changed"] and len(host.left()) == 3
    gone = host.run(state="absent")
    assert (
        gone["changed"] and gone["diff"] == foreseen["diff"] and gone["model"] is None and host.left() == []
    )
    assert not host.run(state="absent")["changed"]
