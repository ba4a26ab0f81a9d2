# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Locks, exchanging directories, and putting things right."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils import directories


@pytest.fixture
def places(tmp_path: Path) -> directories.Places:
    return directories.Places(str(tmp_path / "model"))


def fill(folder: str, text: str) -> None:
    os.makedirs(folder)
    Path(folder, ".snapshot.json").write_text(text)


def text_of(folder: str) -> str:
    return Path(folder, ".snapshot.json").read_text()


def test_names(places: directories.Places, tmp_path: Path) -> None:
    assert directories.Places(f"{places.dest}/").dest == places.dest
    beside = {places.staging, places.old, places.lock}
    assert {os.path.dirname(path) for path in beside} == {str(tmp_path)}
    assert all(os.path.basename(path).startswith(".model.") for path in beside)


@pytest.mark.parametrize("able", [True, False])
def test_replaced(places: directories.Places, monkeypatch: pytest.MonkeyPatch, able: bool) -> None:
    if not able:
        monkeypatch.setattr(directories, "exchange", lambda one, other: False)
    fill(places.dest, "old")
    fill(places.tree, "new")
    directories.put_in_place(places)
    assert text_of(places.dest) == "new" and os.listdir(places.parent) == ["model"]


def test_exchange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    fill(str(one), "1")
    fill(str(other), "2")
    assert (
        directories.exchange(str(one), str(other)) and text_of(str(one)) == "2" and text_of(str(other)) == "1"
    )
    with pytest.raises(OSError, match="No such file"):
        directories.exchange(str(one), str(tmp_path / "none"))

    class Library:
        def __init__(self, *_arguments: object, **_named: object) -> None:
            self.renameat2 = lambda *_arguments: -1

    monkeypatch.setattr(directories.ctypes, "CDLL", Library)
    monkeypatch.setattr(directories.ctypes, "get_errno", lambda: errno.EINVAL)
    assert not directories.exchange(str(one), str(other)), "the file system does not know it"
    monkeypatch.setattr(directories.ctypes, "CDLL", lambda *_arguments, **_named: object())
    assert not directories.exchange(str(one), str(other)), "the C library does not know it"


def test_brought_back(places: directories.Places) -> None:
    assert not directories.recover(places)
    fill(places.old, "old")
    assert places.current() == places.old and directories.recover(places)
    assert text_of(places.dest) == "old" and not os.path.exists(places.old)
    fill(places.old, "older")
    assert (
        places.current() == places.dest and not directories.recover(places) and text_of(places.dest) == "old"
    )


def test_removed(places: directories.Places) -> None:
    fill(places.dest, "old")
    fill(places.tree, "half")
    directories.remove(places)
    assert os.listdir(places.parent) == []


def test_one_at_a_time(places: directories.Places) -> None:
    said: list[str] = []
    with directories.Lock(places.lock, 0, said.append):
        assert Path(places.lock).read_text().strip() == str(os.getpid())
        with pytest.raises(ValueError, match=rf"another run .process {os.getpid()}. is working on this"):
            directories.Lock(places.lock, 0, said.append).__enter__()
        with pytest.raises(ValueError, match=r"did not end within 0.3 s .option lock_timeout."):
            directories.Lock(places.lock, 0.3, said.append).__enter__()
    assert said == [f"waiting for another run (process {os.getpid()})"]
    assert not os.path.exists(places.lock)
    Path(places.lock).write_text("99999\n")
    with directories.Lock(places.lock, 0, said.append):
        assert Path(places.lock).read_text().strip() == str(os.getpid()), "a file without a lock is nobody's"


@pytest.mark.parametrize("dest, message", [("relative", "absolute path"), ("/", "absolute path")])
def test_destinations_that_cannot_be(dest: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        directories.check_places(directories.Places(dest), False, ".snapshot.json", "a snapshot")
