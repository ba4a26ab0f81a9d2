# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wanted, what is there, and what differs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils import directories
from ansible_collections.private_ai.chatbot.plugins.module_utils.files import sha256_of
from ansible_collections.private_ai.chatbot.plugins.module_utils.hub import place, snapshot
from ansible_collections.private_ai.chatbot.plugins.module_utils.hub.snapshot import File, Selection, Snapshot

CONFIG = File("config.json", 2, "git:" + "a" * 40)
WEIGHTS = File("model.safetensors", 7, "sha256:" + "b" * 64)
COPY = File("copy/model.safetensors", 7, "sha256:" + "b" * 64)
PICKLE = File("pytorch_model.bin", 9, "sha256:" + "c" * 64)
COMMIT = "d" * 40


def everything(names: object) -> object:
    return names


def wanted(*files: File, revision: str = "main", commit: str = COMMIT, **selected: object) -> Snapshot:
    return Snapshot("acme/model", revision, commit, Selection(**selected), files)  # type: ignore[arg-type]


def test_chosen() -> None:
    files, left_out = snapshot.choose([WEIGHTS, CONFIG, PICKLE], Selection(), everything)  # type: ignore[arg-type]
    assert files == (CONFIG, WEIGHTS) and left_out == ("pytorch_model.bin",)
    trusting = Selection(unsafe_formats=True)
    files, left_out = snapshot.choose([WEIGHTS, PICKLE], trusting, everything)  # type: ignore[arg-type]
    assert files == (WEIGHTS, PICKLE) and left_out == ()
    files, left_out = snapshot.choose([WEIGHTS, CONFIG], Selection(["x"]), lambda names: ["config.json"])
    assert files == (CONFIG,)


@pytest.mark.parametrize(
    "files, message",
    [
        ([], "none of the repository's 0 files"),
        ([CONFIG, PICKLE], "1 selected files may run code when they are loaded .pytorch_model.bin."),
        ([WEIGHTS, CONFIG, CONFIG], "'config.json' is listed twice; nothing was fetched"),
    ],
)
def test_cannot_be_chosen(files: list[File], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        snapshot.choose(files, Selection(), everything)  # type: ignore[arg-type]


def test_expected() -> None:
    one = wanted(CONFIG, WEIGHTS)
    one = one._replace(sha256=snapshot.checksums_of(one, snapshot.NOTHING))
    assert one.sha256 == {"model.safetensors": "b" * 64}
    snapshot.check_expected(one, {"model.safetensors": "B" * 64, "config.json": "1" * 64})
    with pytest.raises(ValueError, match=f"has SHA-256 {'b' * 64}, expected is {'0' * 64}"):
        snapshot.check_expected(one, {"model.safetensors": "0" * 64})
    with pytest.raises(ValueError, match="expected names 'none', which is not among the snapshot's 2 files"):
        snapshot.check_expected(one, {"none": "0" * 64})


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A snapshot of three files on the disk."""
    places = directories.Places(str(tmp_path / "model"))
    sources = {}
    for file, data in ((CONFIG, b"{}"), (WEIGHTS, b"weights")):
        path = tmp_path / file.identity[-4:]
        path.write_bytes(data)
        sources[file.identity] = str(path)
    one = wanted(CONFIG, WEIGHTS, COPY)
    one = one._replace(sha256={file.name: sha256_of(sources[file.identity]) for file in one.files})
    os.makedirs(places.staging)
    place.assemble(places, one, sources)
    directories.put_in_place(places)
    return tmp_path / "model"


def look(folder: Path, full: bool = False) -> snapshot.Found:
    return snapshot.observe(str(folder), full, sha256_of)


def test_observed(made: Path) -> None:
    found = look(made)
    assert found.snapshot is not None and found.snapshot.commit == COMMIT
    assert set(found.good) == {"config.json", "model.safetensors", "copy/model.safetensors"}
    assert found.problems == {} and found.modes == {}
    assert (made / "copy/model.safetensors").stat().st_ino != (made / "model.safetensors").stat().st_ino
    difference = snapshot.different(found, wanted(CONFIG, WEIGHTS, COPY))
    assert (
        not difference.changed
        and difference.fetch == ()
        and set(difference.keep)
        == {
            CONFIG.identity,
            WEIGHTS.identity,
        }
    )
    assert look(made / "none") == snapshot.NOTHING


def test_read_only_when_asked_or_touched(made: Path) -> None:
    read: list[str] = []

    def digest(path: str) -> str:
        read.append(os.path.basename(path))
        return sha256_of(path)

    snapshot.observe(str(made), False, digest)
    assert read == []
    os.utime(made / "config.json", (1, 1))
    assert snapshot.observe(str(made), False, digest).problems == {} and read == ["config.json"]
    snapshot.observe(str(made), True, digest)
    assert len(read) == 4


def test_problems(made: Path) -> None:
    (made / "config.json").write_bytes(b"[]")
    (made / "model.safetensors").unlink()
    (made / "copy/model.safetensors").chmod(0o600)
    (made / "new").mkdir(mode=0o700)
    (made / "new/file").write_text("x")
    found = look(made)
    assert found.problems == {
        "config.json": "changed, of another checksum",
        "model.safetensors": "missing",
        "new/": "not of the snapshot",
        "new/file": "not of the snapshot",
    }
    assert found.modes == {"copy/model.safetensors": "0600", "new/": "0700"}
    difference = snapshot.different(found, wanted(CONFIG, WEIGHTS, COPY))
    assert difference.changed and difference.fetch == (CONFIG,), "the weights are still there as the copy"
    diff = snapshot.diff_of(found, wanted(CONFIG, WEIGHTS, COPY))
    assert diff["before"]["files"]["model.safetensors"] == "missing" and "modes" not in diff["after"]


@pytest.mark.parametrize("how", ["no JSON", "format", "outside", "key"])
def test_records_that_are_not_believed(made: Path, how: str) -> None:
    path = made / ".snapshot.json"
    record = json.loads(path.read_text())
    if how == "format":
        record["format"] = 99
    elif how == "outside":
        record["files"][0]["name"] = "../config.json"
    elif how == "key":
        del record["commit"]
    path.write_text("{" if how == "no JSON" else json.dumps(record))
    found = look(made)
    assert found == snapshot.NOTHING
    assert snapshot.different(found, wanted(CONFIG, WEIGHTS)).fetch == (CONFIG, WEIGHTS)


def test_who_is_asked(made: Path) -> None:
    """A commit that is there asks nobody; a branch does, unless nobody may be asked."""
    found, anything = look(made), Selection()
    assert snapshot.known_snapshot(found, "acme/model", COMMIT, anything, False)
    assert not snapshot.known_snapshot(found, "acme/model", "main", anything, False)
    assert snapshot.known_snapshot(found, "acme/model", "main", anything, True)
    assert not snapshot.known_snapshot(found, "acme/model", "other", anything, True)
    assert not snapshot.known_snapshot(found, "acme/other", COMMIT, anything, True)
    assert not snapshot.known_snapshot(found, "acme/model", COMMIT, Selection(["*.json"]), True)
    assert not snapshot.known_snapshot(snapshot.NOTHING, "acme/model", COMMIT, anything, True)
