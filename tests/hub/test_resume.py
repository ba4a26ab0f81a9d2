"""Interruptions: what has come is not fetched twice, and the destination is the old snapshot or the new."""

from __future__ import annotations

import contextlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.hub.harness import NO_EXCHANGE, PLAIN, Repository, Runner, StandInHub, content, tree, wait_until

WEIGHTS = "model.safetensors"


def part_size(run: Runner) -> int:
    """How much of the large file has been kept."""
    parts = []
    for path in run.staging.glob("files/*.part"):
        with contextlib.suppress(FileNotFoundError):  # a small file may be whole, and so renamed, by now
            parts.append(path.stat().st_size)
    return max(parts, default=0)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_killed_while_it_comes(
    run: Runner, hub: StandInHub, repository: Repository, files: dict[str, bytes], share: float
) -> None:
    """The Hub's own counters: together the two runs got each byte once, but for what was in flight."""
    size = len(files[WEIGHTS])
    faults = repository.file(WEIGHTS).faults
    faults.stall_after = int(size * share)
    started = run.start()
    wait_until(lambda: part_size(run) == faults.stall_after)
    started.kill()
    assert not run.dest.exists()
    faults.stall_after = None
    hub.stats.clear()
    predicted = run(check=True)
    finished = run()
    assert tree(run.dest) == files and run.left() == []
    assert hub.stats.ranges[WEIGHTS] == [f"bytes={int(size * share)}-"]
    assert hub.stats.sent[WEIGHTS] == size - int(size * share)
    assert predicted["download"] == finished["download"]
    assert finished["download"]["bytes"] == run.sent()


def test_killed_in_full_flight(
    run: Runner, hub: StandInHub, repository: Repository, files: dict[str, bytes]
) -> None:
    faults = repository.file(WEIGHTS).faults
    faults.rate = 3_000_000
    for goal in (1_200_000, 3_000_000, 4_800_000):
        started = run.start()
        reached = partial(lambda goal: part_size(run) > goal, goal)
        wait_until(reached)
        started.kill()
    kept = part_size(run)
    faults.rate = 0
    hub.stats.clear()
    run()
    assert tree(run.dest) == files
    assert hub.stats.sent[WEIGHTS] == len(files[WEIGHTS]) - kept
    assert hub.stats.ranges[WEIGHTS] == [f"bytes={kept}-"]


#: Every step at which the module changes something, and whether the destination is new after a kill there.
STEPS = [
    ("hub.download:Staging", "prepare", "after", 1, False),
    ("hub.download:Staging", "settle", "before", 1, False),
    ("hub.download:Staging", "settle", "after", 1, False),
    ("hub.update", "assemble", "before", 1, False),
    ("os", "link", "after", 2, False),
    ("hub.update", "assemble", "after", 1, False),
    ("directories", "exchange", "before", 1, False),
    ("directories", "exchange", "after", 1, True),
    ("directories", "clear", "before", 1, True),
    ("directories", "clear", "after", 1, True),
]


@pytest.mark.parametrize("where, name, when, count, replaced", STEPS)
def test_killed_at_each_step(
    run: Runner,
    hub: StandInHub,
    repository: Repository,
    files: dict[str, bytes],
    where: str,
    name: str,
    when: str,
    count: int,
    replaced: bool,
) -> None:
    """Old or new, whole; and the next run fetches nothing that was complete."""
    run()
    newer = {**files, "config.json": b"{}", WEIGHTS: content(1_000_000, 9)}
    commit = repository.commit(newer)
    hub.stats.clear()
    # One after the other, so that a kill finds no other file in flight.
    run.killed(where, name, when, count, revision=commit, max_workers=1)
    assert tree(run.dest) == (newer if replaced else files)
    record = json.loads((run.dest / ".snapshot.json").read_text())
    assert (record["commit"] == commit) is replaced
    finished = run(revision=commit)
    assert finished["changed"] is not replaced
    assert tree(run.dest) == newer and run.left() == []
    assert run.sent() == len(newer[WEIGHTS]) + len(newer["config.json"]), "everything came once"


@pytest.mark.parametrize("when, count", [("before", 1), ("after", 1), ("before", 2), ("after", 2)])
def test_killed_where_directories_cannot_be_exchanged(
    run: Runner, repository: Repository, files: dict[str, bytes], when: str, count: int
) -> None:
    """Between the renames the destination is missing; the next run puts that right, also without a Hub."""
    former = repository.resolve("main")
    run(revision=former)
    newer = {**files, "config.json": b"{}"}
    commit = repository.commit(newer)
    run.killed("os", "rename", when, count, before=NO_EXCHANGE, revision=commit)
    missing = (when, count) in (("after", 1), ("before", 2))
    assert run.dest.exists() is not missing
    replaced = (when, count) == ("after", 2)
    assert tree(run.folder / ".model.old" if missing else run.dest) == (newer if replaced else files)
    nowhere: dict[str, Any] = {"endpoint": "http://127.0.0.1:9", "retries": 0}
    whole = commit if replaced else former
    assert run(check=True, revision=whole, **nowhere)["changed"] is missing
    assert run(revision=whole, **nowhere)["changed"] is missing
    assert run(revision=commit)["snapshot"]["commit"] == commit
    assert tree(run.dest) == newer and run.left() == []


def test_without_exchange(run: Runner, repository: Repository, files: dict[str, bytes]) -> None:
    run()
    newer = {**files, "config.json": b"{}"}
    repository.commit(newer)
    started = run.start(NO_EXCHANGE + PLAIN)
    assert run.result(started)["changed"]
    assert tree(run.dest) == newer and run.left() == []


def test_cut_connections(
    run: Runner, hub: StandInHub, repository: Repository, files: dict[str, bytes]
) -> None:
    faults = repository.file(WEIGHTS).faults
    faults.cut_after, faults.cuts = 2_000_000, 2
    run()
    assert tree(run.dest) == files
    assert hub.stats.ranges[WEIGHTS] == ["", "bytes=2000000-", "bytes=4000000-"]
    assert hub.stats.sent[WEIGHTS] == len(files[WEIGHTS])


def test_always_cut(run: Runner, hub: StandInHub, repository: Repository) -> None:
    """Bytes that came are worth another try; one without any is counted."""
    faults = repository.file(WEIGHTS).faults
    faults.no_ranges, faults.cut_after = True, 1_000_000
    message = run.refused(retries=1)
    assert message.startswith("model.safetensors: http://127.0.0.1:") and "cannot be reached" in message
    assert "what was fetched so far is kept" in message
    assert hub.stats.ranges[WEIGHTS] == ["", "bytes=1000000-"]
    assert not run.dest.exists()


def test_server_without_ranges(run: Runner, repository: Repository, files: dict[str, bytes]) -> None:
    faults = repository.file(WEIGHTS).faults
    faults.no_ranges, faults.cut_after, faults.cuts = True, 1_000_000, 1
    run()
    assert tree(run.dest) == files


def test_silent_server(run: Runner, hub: StandInHub, repository: Repository) -> None:
    repository.file(WEIGHTS).faults.stall_after = 1_000_000
    hub.add(repository)
    message = run.refused(timeout=1, retries=0)
    assert "silent for 1 s (option timeout)" in message


def test_damaged_part(run: Runner, repository: Repository, files: dict[str, bytes], folder: Path) -> None:
    """What lies there from a run before does not fit: it is thrown away, and the file comes whole."""
    progress = folder / "home" / "progress"
    run.killed("hub.download:Staging", "settle", "before", 1)
    for path in run.staging.glob("files/*"):
        if path.name.startswith(repository.file(WEIGHTS).sha256):
            path.unlink()
    part = run.staging / "files" / f"{repository.file(WEIGHTS).sha256}.part"
    part.write_bytes(b"damage" * 1000)
    run(progress_file=str(progress))
    assert tree(run.dest) == files
    assert "model.safetensors is fetched again: what was there of it did not fit" in progress.read_text()


def test_one_failure_keeps_the_rest(
    run: Runner, hub: StandInHub, repository: Repository, files: dict[str, bytes]
) -> None:
    faults = repository.file("README.md").faults
    faults.status = 404
    assert "acme/model at http" in run.refused(max_workers=1)
    faults.status = 0
    kept = sum(path.stat().st_size for path in run.staging.glob("files/*"))
    assert kept >= len(files[WEIGHTS])
    hub.stats.clear()
    run()
    assert tree(run.dest) == files and hub.stats.sent[WEIGHTS] == 0


def test_leftovers_of_another_revision_go(
    run: Runner, repository: Repository, files: dict[str, bytes]
) -> None:
    repository.file(WEIGHTS).faults.stall_after = 1_000_000
    started = run.start()
    wait_until(lambda: part_size(run) == 1_000_000)
    started.kill()
    commit = repository.commit({"config.json": b"{}", "model.gguf": b"GGUF"})
    run.killed("hub.update", "assemble", "before", revision=commit)
    assert len(list((run.staging / "files").iterdir())) == 2
    assert run(state="absent")["changed"] and run.left() == []
