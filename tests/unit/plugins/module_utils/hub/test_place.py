# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Locks, exchanging directories, and putting things right."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.hub import place
from ansible_collections.private_ai.chatbot.plugins.module_utils.hub.snapshot import File, Selection, Snapshot


@pytest.fixture
def places(tmp_path: Path) -> place.Places:
    return place.Places(str(tmp_path / "model"))


def fill(folder: str, text: str) -> None:
    os.makedirs(folder)
    Path(folder, ".snapshot.json").write_text(text)


def text_of(folder: str) -> str:
    return Path(folder, ".snapshot.json").read_text()


def test_names(places: place.Places, tmp_path: Path) -> None:
    assert place.Places(f"{places.dest}/").dest == places.dest
    beside = {places.staging, places.old, places.lock}
    assert {os.path.dirname(path) for path in beside} == {str(tmp_path)}
    assert all(os.path.basename(path).startswith(".model.") for path in beside)


@pytest.mark.parametrize("able", [True, False])
def test_replaced(places: place.Places, monkeypatch: pytest.MonkeyPatch, able: bool) -> None:
    if not able:
        monkeypatch.setattr(place, "exchange", lambda one, other: False)
    fill(places.dest, "old")
    fill(places.tree, "new")
    place.put_in_place(places)
    assert text_of(places.dest) == "new" and os.listdir(places.parent) == ["model"]


def test_exchange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    fill(str(one), "1")
    fill(str(other), "2")
    assert place.exchange(str(one), str(other)) and text_of(str(one)) == "2" and text_of(str(other)) == "1"
    with pytest.raises(OSError, match="No such file"):
        place.exchange(str(one), str(tmp_path / "none"))

    class Library:
        def __init__(self, *_arguments: object, **_named: object) -> None:
            self.renameat2 = lambda *_arguments: -1

    monkeypatch.setattr(place.ctypes, "CDLL", Library)
    monkeypatch.setattr(place.ctypes, "get_errno", lambda: errno.EINVAL)
    assert not place.exchange(str(one), str(other)), "the file system does not know it"
    monkeypatch.setattr(place.ctypes, "CDLL", lambda *_arguments, **_named: object())
    assert not place.exchange(str(one), str(other)), "the C library does not know it"


def test_brought_back(places: place.Places) -> None:
    assert not place.recover(places)
    fill(places.old, "old")
    assert places.current() == places.old and place.recover(places)
    assert text_of(places.dest) == "old" and not os.path.exists(places.old)
    fill(places.old, "older")
    assert places.current() == places.dest and not place.recover(places) and text_of(places.dest) == "old"


def test_removed(places: place.Places) -> None:
    fill(places.dest, "old")
    fill(places.tree, "half")
    place.remove(places)
    assert os.listdir(places.parent) == []


def test_one_at_a_time(places: place.Places) -> None:
    said: list[str] = []
    with place.Lock(places.lock, 0, said.append):
        assert Path(places.lock).read_text().strip() == str(os.getpid())
        with pytest.raises(ValueError, match=rf"another run .process {os.getpid()}. is working on this"):
            place.Lock(places.lock, 0, said.append).__enter__()
        with pytest.raises(ValueError, match=r"did not end within 0.3 s .option lock_timeout."):
            place.Lock(places.lock, 0.3, said.append).__enter__()
    assert said == [f"waiting for another run (process {os.getpid()})"]
    assert not os.path.exists(places.lock)
    Path(places.lock).write_text("99999\n")
    with place.Lock(places.lock, 0, said.append):
        assert Path(places.lock).read_text().strip() == str(os.getpid()), "a file without a lock is nobody's"


def test_links_where_there_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.write_text("x")

    def refuse(*_arguments: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    one = Snapshot("a/b", "main", "d" * 40, Selection(), (File("x", 1, "git:" + "a" * 40),))
    places = place.Places(str(tmp_path / "model"))
    os.mkdir(places.staging)
    place.assemble(places, one._replace(sha256={"x": "0" * 64}), {one.files[0].identity: str(source)})
    assert Path(places.tree, "x").read_text() == "x" and source.stat().st_nlink == 1


@pytest.mark.parametrize("dest, message", [("relative", "absolute path"), ("/", "absolute path")])
def test_destinations_that_cannot_be(dest: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        place.check_places(place.Places(dest), False)
