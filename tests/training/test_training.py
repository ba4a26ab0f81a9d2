"""Training for real: the demo model learns what it did not know, though cut in the middle and crowded."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.training.run import container_name

from tests.converter.conftest import DEMO, Run, in_image
from tests.standins.teacher import Teacher
from tests.training import dataset, taxonomy

TRAINER = "localhost/private-ai/trainer:0.26.1"
#: Small batches: InstructLab's learning rate is fixed, so a tiny model needs many steps.
SETTINGS = {"epochs": 7, "effective_batch_size": 2, "max_batch_len": 1024, "max_seq_len": 256}


class Train(Run):
    """ilab_train at work in a process of its own."""

    module = "ansible_collections.private_ai.chatbot.plugins.modules.ilab_train"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """The base, the data, the questions and what asks them; the container's user may read all of it."""
    tmp_path.chmod(0o755)
    shutil.copytree(DEMO, tmp_path / "base", ignore=shutil.ignore_patterns("*.gguf", "training", "*.md"))
    for name in ("ask.py", "dataset.py", "product.json"):
        shutil.copy(Path(__file__).with_name(name), tmp_path)
    dataset.main(str(tmp_path / "data.jsonl"), str(tmp_path / "held_out.json"))
    for name in ("out", "first", "second"):
        (tmp_path / name).mkdir()
    yield tmp_path
    name = container_name(str(tmp_path / "out/own"))
    listed = ["podman", "ps", "--all", "--quiet", f"--filter=name={name}"]
    assert not subprocess.run(listed, capture_output=True, text=True, check=True).stdout


def options(place: Path, **own: Any) -> dict[str, Any]:
    """The module's options for these places."""
    paths = {"base": place / "base", "data": place / "data.jsonl", "dest": place / "out/own"}
    return {**SETTINGS, **{name: str(path) for name, path in paths.items()}, **own}


def score(place: Path, model: str) -> dict[str, dict[str, float]]:
    """What a model knows of the product, by language."""
    done = in_image(
        TRAINER,
        "/opt/trainer/bin/python",
        "/t/ask.py",
        f"/t/{model}",
        "/t/held_out.json",
        mount=f"{place}:/t:ro",
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    print(model, found)
    return found


def test_learns_and_survives_a_kill(place: Path) -> None:
    """English at least 60 % right after none; Portuguese nearer to the right answers than before."""
    before = score(place, "base")
    first = Train(place / "first", options(place))
    first.until(lambda: first.said("epoch 3 of 7, step"))
    crowded = Train(place / "second", options(place, lock_timeout=0)).result()
    assert crowded.get("failed") and f"process {first.process.pid}" in crowded["msg"], crowded
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait()
    assert not (place / "out/own").exists()

    again = Train(place / "first", options(place))
    made = again.result()
    assert made.get("changed"), made
    outcome = made["training"]["outcome"]
    assert again.said("going on after epoch 2 of 7") or again.said("going on after epoch 3 of 7")
    assert outcome["interruptions"] == 1
    assert [entry["epoch"] for entry in outcome["epochs"]] == list(range(1, 8))
    assert outcome["epochs"][-1]["loss"] < outcome["epochs"][0]["loss"] / 4
    assert os.listdir(place / "out") == ["own"]

    after = score(place, "out/own")
    assert before["en"]["right"] <= 0.1 and after["en"]["right"] >= 0.6
    assert after["pt"]["similarity"] > before["pt"]["similarity"]
    assert not Train(place / "first", options(place)).result()["changed"]


@pytest.fixture
def teacher() -> Iterator[Teacher]:
    """A stand-in for a teacher, on a port of this host."""
    answers = [
        f"How much fits into tank {n}? There is room for {n} litres of water in it." for n in range(40)
    ]
    server = Teacher(answers, api_key="teacher-s3cret")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def told(place: Path) -> list[Path]:
    """Files that hold the teacher's key, besides those that give it to the module."""
    files = [path for path in place.rglob("*") if path.is_file() and path.name != "arguments.json"]
    return [path for path in files if b"teacher-s3cret" in path.read_bytes()]


def test_a_teacher_writes_more_rows(place: Path, teacher: Teacher) -> None:
    """The real `ilab data generate` asks it once; what it wrote is trained; its key is nowhere to be seen."""
    asked = {"url": teacher.url, "model": "large", "rows": 3, "api_key": "teacher-s3cret"}
    own = {"data": None, "taxonomy": str(taxonomy.write(place / "taxonomy")), "epochs": 1, "teacher": asked}
    wrong = Train(place / "first", options(place, **{**own, "teacher": {**asked, "api_key": "another"}}))
    refused = wrong.result()
    assert refused.get("failed") and "data generate failed" in refused["msg"], refused
    assert "another" not in json.dumps(refused["msg"]) and not teacher.prompts

    run = Train(place / "first", options(place, **own))
    run.until(lambda: run.said("epoch 1 of 1"))
    os.kill(run.process.pid, signal.SIGKILL)
    run.process.wait()
    assert not told(place)
    # One more is ilab's question whether the server takes several at once.
    prompts = len(teacher.prompts)
    assert len([text for text in teacher.prompts if "Orvalhin" in str(text)]) == 15
    made = Train(place / "first", options(place, **own)).result()
    assert made.get("changed"), made
    assert len(teacher.prompts) == prompts, "the teacher was asked again"
    record = made["training"]
    assert record["data"]["rows"] == taxonomy.ROWS + 15 and record["provenance"]["teacher"] == "large"
    assert not Train(place / "second", options(place, **own)).result()["changed"]
    fewer = {**own, "teacher": {**asked, "rows": 2}}
    with_check = Train(place / "second", {**options(place, **fewer), "_ansible_check_mode": True}).result()
    assert with_check["changed"] and len(teacher.prompts) == prompts
    assert "teacher-s3cret" not in json.dumps(made) and not told(place)


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of its own."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False).returncode:
        pytest.fail(f"a file system of {size} could not be mounted; these tests run as root")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_too_small_a_disk_is_refused_before_the_work(place: Path) -> None:
    """On a file system that holds the result and not the checkpoints."""
    with small_disk(place / "out", "5m"):
        refused = Train(place / "first", options(place)).result()
        assert "bytes free, training needs at least" in refused["msg"] and "checkpoint_dir" in refused["msg"]
        assert os.listdir(place / "out") == []


def fill(path: Path) -> None:
    """Take all the room there is."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as stream:
        while stream.write(bytes(1 << 16)):
            pass


def test_a_disk_that_fills_while_it_trains(place: Path) -> None:
    """It is said, nothing is half done, and once there is room it goes on from the last checkpoint."""
    few, out = {"epochs": 3}, place / "out"
    with small_disk(out, "64m"):
        run = Train(place / "first", options(place, **few))
        run.until(lambda: run.said("epoch 2 of 3, step"))
        fill(out / "others")
        refused = run.result()
        assert refused.get("failed") and f"training found no room: {out}" in refused["msg"], refused
        assert sorted(os.listdir(out)) == [".own.training", "others"]
        (out / "others").unlink()
        again = Train(place / "first", options(place, **few))
        made = again.result()
        assert made.get("changed"), made
        assert again.said("going on after epoch 1 of 3") and os.listdir(out) == ["own"]
