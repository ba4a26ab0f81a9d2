# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that are whole or as they were."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils import files


def test_write(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("old")
    files.write_file(str(path), b"new", 0o600)
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["key"]


def test_mode_does_not_follow_the_umask(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("x")
    former = os.umask(0o077)
    try:
        files.copy_file(str(source), str(tmp_path / "copy"), 0o644)
    finally:
        os.umask(former)
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o644


def test_copy_of_something_else_is_refused(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"a" * 3_000_000)
    target.write_bytes(b"old")
    right = hashlib.sha256(source.read_bytes()).hexdigest()
    with pytest.raises(ValueError, match="changed while it was copied"):
        files.copy_file(str(source), str(target), 0o644, "0" * 64)
    assert target.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["source", "target"]
    files.copy_file(str(source), str(target), 0o644, right)
    assert files.sha256_of(str(target)) == right


def test_disk_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    path.write_text("old")

    def broken(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="No space left"):
        files.write_file(str(path), b"new", 0o600)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["key"]
