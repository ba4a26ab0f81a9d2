# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a note about a model notices."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils import recipe

SETTINGS = {"outtype": "f16", "training": [4, 8]}


def made(folder: Path, **settings: object) -> dict[str, object]:
    """The note about a folder."""
    found = recipe.fingerprints([str(folder)])
    return recipe.note({**SETTINGS, **settings}, found, recipe.fingerprints([str(folder / "a")]), "c0ffee")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    below = tmp_path / "data" / "below"
    below.mkdir(parents=True)
    (tmp_path / "data/a").write_text("one")
    (below / "b").write_text("two")
    return tmp_path / "data"


def test_nothing_changed(folder: Path) -> None:
    assert recipe.differences(made(folder), made(folder)) == []


def test_nothing_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files may be large: what the file system says of them is enough."""

    def read(path: object, *_: object) -> None:
        raise AssertionError(f"{path} was opened")

    before = made(folder)
    for opened in ("builtins.open", "io.open", "os.open"):
        monkeypatch.setattr(opened, read)
    assert made(folder) == before


def test_without_a_note_everything_differs(folder: Path) -> None:
    found = recipe.differences(None, made(folder))
    assert {"model", "outtype", "training", str(folder), str(folder / "a")} == set(found)


def test_a_setting(folder: Path) -> None:
    before = made(folder)
    assert recipe.differences(before, made(folder, outtype="bf16")) == ["outtype"]
    assert recipe.differences(before, made(folder, seed=1)) == ["seed"]
    assert recipe.differences({**before, "model": "other"}, made(folder)) == ["model"]


@pytest.mark.parametrize("how", ["content", "same size and time", "new", "gone", "mode", "another file"])
def test_a_file(folder: Path, how: str) -> None:
    before = made(folder)
    path = folder / "below/b"
    if how == "content":
        path.write_text("three")
    elif how == "same size and time":
        found = path.stat()
        path.write_text("owt")
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    elif how == "new":
        (folder / "below/c").write_text("")
    elif how == "gone":
        path.unlink()
    elif how == "mode":
        path.chmod(0o600)
    else:
        other = folder / "below/.new"
        other.write_text("two")
        other.replace(path)
    assert recipe.differences(before, made(folder)) == [str(folder)]


def test_a_link_counts_by_what_it_leads_to(folder: Path) -> None:
    (folder / "link").symlink_to(folder.parent / "target")
    (folder.parent / "target").write_text("x")
    before = made(folder)
    (folder.parent / "target").write_text("longer")
    assert recipe.differences(before, made(folder)) == [str(folder)]


def test_what_is_not_there(folder: Path) -> None:
    gone = str(folder / "gone")
    before = recipe.fingerprints([gone])
    assert recipe.fingerprints([gone]) == before
    (folder / "gone").write_text("")
    assert recipe.fingerprints([gone]) != before


def test_no_value_is_kept(folder: Path) -> None:
    assert "hidden" not in str(made(folder, token="hidden"))


def test_a_damaged_note_is_none(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "note.json"
    assert recipe.read(str(file)) is None
    recipe.write(str(file), made(folder))
    assert recipe.read(str(file)) == made(folder) and file.stat().st_mode & 0o777 == 0o600
    for text in ("", "[]", "{", '{"format": 2}'):
        file.write_text(text)
        assert recipe.read(str(file)) is None
