"""What happens when a conversion is cut, crowded, short of room, or given what nobody knows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.gguf_model.plan import container_name

from tests.converter.conftest import IMAGE, Run, podman_words


def test_killed_at_every_step(medium: Path, place: Path) -> None:
    """What was there stays to the last; the run after removes what the killed one left, its container too."""
    dest, output = place / "model.gguf", place / ".model.gguf.work" / "output"
    dest.write_bytes(b"what is served now")
    wanted = {"source": str(medium), "dest": str(dest), "quantization": "Q4_K_M"}

    def grows(name: str) -> Callable[[], bool]:
        return lambda: (output / name).exists() and (output / name).stat().st_size > 0

    def said(text: str) -> Callable[[], bool]:
        return lambda: text in (place.parent / "progress").read_text()

    steps = [
        said("asking the converter"),
        grows("intermediate.gguf"),
        grows("model.gguf"),
        said("checking the result"),
    ]
    for step, reached in enumerate(steps):
        run = Run(place.parent, wanted)
        run.until(reached)
        run.process.kill()
        run.process.wait()
        assert dest.read_bytes() == b"what is served now", step
        assert os.listdir(place).count("model.gguf.manifest.json") == 0
    made = Run(place.parent, wanted).result()
    assert made.get("changed"), made
    assert sorted(os.listdir(place)) == ["model.gguf", "model.gguf.manifest.json"]
    assert not Run(place.parent, wanted).result()["changed"]


def test_container_of_a_killed_run_is_in_nobodys_way(tiny: Path, place: Path) -> None:
    """It may still work when its run was killed, or the host may have kept its name."""
    dest = place / "model.gguf"
    before, after = podman_words()
    command = [
        "podman",
        *before,
        "run",
        "--detach",
        "--stop-timeout=0",
        f"--name={container_name(str(dest))}",
    ]
    subprocess.run(
        [*command, *after, "--entrypoint=/usr/bin/sleep", IMAGE, "600"], check=True, capture_output=True
    )
    made = Run(place.parent, {"source": str(tiny), "dest": str(dest)}).result()
    assert made.get("changed"), made


def test_two_runs_at_once(tiny: Path, place: Path, tmp_path: Path) -> None:
    """The second waits, and then finds it made."""
    wanted = {"source": str(tiny), "dest": str(place / "model.gguf")}
    first = Run(place.parent, wanted)
    first.until(lambda: first.said("asking the converter"))
    (tmp_path / "second").mkdir()
    second = Run(tmp_path / "second", wanted)
    one, two = first.result(), second.result()
    assert one["changed"] and not two["changed"] and one["model"] == two["model"]
    assert second.said("waiting for another run")


@pytest.fixture
def small_disk(place: Path) -> Any:
    """A file system of 6 MB."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_disk_that_is_full_or_fills(tiny: Path, medium: Path, small_disk: Path) -> None:
    """Said before the work where it can be foreseen, otherwise as soon as it is seen; the old file stays."""
    dest = small_disk / "model.gguf"
    dest.write_bytes(b"what is served now")
    wanted = {"source": str(medium), "dest": str(dest)}
    foreseen = Run(small_disk.parent, wanted).result()
    assert foreseen["failed"] and "bytes free, making model.gguf needs about" in foreseen["msg"]
    run = Run(small_disk.parent, {**wanted, "source": str(tiny)})
    run.until(lambda: run.said("asking the converter"))
    filler = small_disk / "filler"
    free = os.statvfs(small_disk)
    filler.write_bytes(bytes(free.f_bavail * free.f_frsize - 1_000_000))
    full = run.result()
    assert full["failed"] and "are free where dest is; make room" in full["msg"], full
    assert dest.read_bytes() == b"what is served now"
    assert sorted(os.listdir(small_disk)) == ["filler", "model.gguf"]
    filler.unlink()
    assert Run(small_disk.parent, {**wanted, "source": str(tiny)}).result()["changed"]


def test_tokenizer_that_nobody_knows(tiny: Path, place: Path, tmp_path: Path) -> None:
    """Refused before anything is written, with what is known."""
    from tests.standins import random_hf_model

    letters = [chr(33 + number) for number in range(90)]
    whole, config = random_hf_model.tokenizer(letters, [], "")
    whole["added_tokens"], whole["post_processor"] = [], None
    for name in ("bos_token", "eos_token", "pad_token"):
        config.pop(name)
    source = tmp_path / "unknown"
    shutil.copytree(tiny, source, ignore=shutil.ignore_patterns("tokenizer*", "special*"))
    (source / "tokenizer.json").write_text(json.dumps(whole))
    (source / "tokenizer_config.json").write_text(json.dumps({**config, "add_bos_token": False}))
    refused = Run(place.parent, {"source": str(source), "dest": str(place / "model.gguf")}).result()
    assert (
        refused["failed"]
        and "its tokenizer splits text in a way that llama.cpp does not know" in refused["msg"]
    )
    assert "deepseek-r1-qwen" in refused["supported"] and os.listdir(place) == []
