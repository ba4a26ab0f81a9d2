# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that are whole or as they were."""

from __future__ import annotations

import fcntl
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

    def broken(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="No space left"):
        files.write_file(str(path), b"new", 0o600)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["key"]


def test_a_power_cut_leaves_the_old_file_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The content is on the disk before the name, and the name before anybody is told."""
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def kept(handle: int) -> None:
        done.append(f"keep {'names' if stat.S_ISDIR(os.fstat(handle).st_mode) else 'content'}")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", kept)
    monkeypatch.setattr(os, "replace", lambda *names: done.append("name") or replace(*names))
    files.write_file(str(tmp_path / "key"), b"new", 0o600)
    assert done == ["keep content", "name", "keep names"]


def test_what_killed_runs_left_goes_and_what_others_write_stays(tmp_path: Path) -> None:
    names = [".key.abcd1234", ".key.zzzz_999", ".key.backup.gz", ".other.abcd1234", "key.abcd1234"]
    for name in names:
        (tmp_path / name).write_text("half")
    (tmp_path / ".key.directry").mkdir()
    with (tmp_path / ".key.zzzz_999").open() as written:
        fcntl.flock(written, fcntl.LOCK_EX)
        files.write_file(str(tmp_path / "key"), b"new", 0o600)
    assert sorted(os.listdir(tmp_path)) == sorted(["key", ".key.directry", *names[1:]])


def test_two_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One does not take away what the other is just writing."""
    path, fsync = str(tmp_path / "key"), os.fsync

    def meanwhile(handle: int) -> None:
        monkeypatch.setattr(os, "fsync", fsync)
        files.write_file(path, b"the other's", 0o600)

    monkeypatch.setattr(os, "fsync", meanwhile)
    files.write_file(path, b"the first one's", 0o600)
    assert (tmp_path / "key").read_text() == "the first one's" and os.listdir(tmp_path) == ["key"]


def settled(path: Path, text: str) -> None:
    path.write_text(text)
    os.utime(path, (1, 1))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were read; what was changed a moment ago counts as settled."""
    found: list[str] = []
    real = files.sha256_of
    monkeypatch.setattr(files.Checksums, "SETTLED", -1.0)
    monkeypatch.setattr(files, "sha256_of", lambda path: found.append(path) or real(path))
    return found


def checked(cache: Path, path: Path) -> str:
    checksums = files.Checksums(str(cache))
    digest = checksums.sha256(str(path))
    checksums.save()
    return digest


def test_unchanged_file_is_read_once(tmp_path: Path, reads: list[str]) -> None:
    path, cache = tmp_path / "model", tmp_path / "cache"
    settled(path, "one")
    assert checked(cache, path) == checked(cache, path) == hashlib.sha256(b"one").hexdigest()
    assert len(reads) == 1 and stat.S_IMODE(cache.stat().st_mode) == 0o600


def test_changed_file_is_read_again(tmp_path: Path, reads: list[str]) -> None:
    path, cache = tmp_path / "model", tmp_path / "cache"
    settled(path, "one")
    checked(cache, path)
    # Same size and, set back, the same time of the content.
    settled(path, "two")
    assert checked(cache, path) == hashlib.sha256(b"two").hexdigest()
    other = tmp_path / "other"
    settled(other, "six")
    other.replace(path)
    assert checked(cache, path) == hashlib.sha256(b"six").hexdigest()
    assert len(reads) == 3


def test_file_changed_a_moment_ago_is_not_remembered(
    tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files.Checksums, "SETTLED", 3600.0)
    path, cache = tmp_path / "model", tmp_path / "cache"
    path.write_text("one")
    checked(cache, path)
    checked(cache, path)
    assert len(reads) == 2 and not cache.exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"x": 1}', "\x00"])
def test_cache_that_cannot_be_read_is_empty(tmp_path: Path, reads: list[str], content: str) -> None:
    path, cache = tmp_path / "model", tmp_path / "cache"
    settled(path, "one")
    cache.write_text(content)
    assert checked(cache, path) == hashlib.sha256(b"one").hexdigest()
    checked(cache, path)
    assert len(reads) == 1


def test_files_that_went_are_forgotten(tmp_path: Path, reads: list[str]) -> None:
    cache = tmp_path / "cache"
    for name in ("one", "two"):
        settled(tmp_path / name, name)
        checked(cache, tmp_path / name)
    (tmp_path / "one").unlink()
    settled(tmp_path / "three", "three")
    checked(cache, tmp_path / "three")
    assert "one" not in cache.read_text() and "two" in cache.read_text()
