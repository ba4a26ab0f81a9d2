# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an image is made from: every change is seen, and what arrives is what was listed."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman import context as contexts


def digest_of(root: str, values: dict[str, Any]) -> str:
    return contexts.digest(contexts.scan(root), values)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A directory of every kind of entry; the modes do not depend on the umask."""
    root = tmp_path / "context"
    (root / "folder" / "empty").mkdir(parents=True)
    (root / "Containerfile").write_text("FROM scratch\n")
    (root / "folder" / "file").write_text("text")
    (root / "link").symlink_to("folder/file")
    (root / "folder-link").symlink_to("folder")
    for path in root.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
    return root


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda root: (root / "folder" / "file").write_text("texT"),
    "name": lambda root: (root / "folder" / "file").rename(root / "folder" / "other"),
    "another folder": lambda root: (root / "folder" / "file").rename(root / "folder" / "empty" / "file"),
    "executable": lambda root: (root / "folder" / "file").chmod(0o755),
    "readable": lambda root: (root / "folder" / "file").chmod(0o640),
    "mode of a folder": lambda root: (root / "folder").chmod(0o700),
    "empty folder": lambda root: (root / "folder" / "empty").rmdir(),
    "one more": lambda root: (root / "more").touch(),
    "target of a link": lambda root: ((root / "link").unlink(), (root / "link").symlink_to("folder/other")),
    "target of a link to a folder": lambda root: (
        (root / "folder-link").unlink(),
        (root / "folder-link").symlink_to("folder/empty"),
    ),
    "link turned into a file": lambda root: ((root / "link").unlink(), (root / "link").write_text("text")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_digest_sees(context: Path, change: Callable[[Path], object]) -> None:
    before = digest_of(str(context), {})
    change(context)
    assert digest_of(str(context), {}) != before


def test_digest_sees_values(context: Path) -> None:
    one = digest_of(str(context), {"base": "a", "build_args": {"X": "1", "Y": "2"}})
    assert one == digest_of(str(context), {"build_args": {"Y": "2", "X": "1"}, "base": "a"})
    assert one != digest_of(str(context), {"base": "b", "build_args": {"X": "1", "Y": "2"}})


def test_digest_does_not_see_times_places_and_caches(context: Path, tmp_path: Path) -> None:
    before = digest_of(str(context), {})
    os.utime(context / "folder" / "file", (1, 1))
    (context / "__pycache__").mkdir()
    (context / "__pycache__" / "x.pyc").touch()
    assert digest_of(str(context.rename(tmp_path / "elsewhere")), {}) == before


def test_names_and_contents_do_not_run_into_each_other(tmp_path: Path) -> None:
    for name, files in {"one": {"ab": "", "c": ""}, "two": {"a": "", "bc": ""}}.items():
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(text)
    assert digest_of(str(tmp_path / "one"), {}) != digest_of(str(tmp_path / "two"), {})


def test_digest_of_a_name_that_is_no_text(context: Path) -> None:
    (Path(os.fsdecode(os.fsencode(context) + b"/\xff"))).touch()
    assert len(digest_of(str(context), {})) == 64


def test_digest_refuses_what_cannot_be_copied(context: Path) -> None:
    # Opened, it would be waited for without end.
    os.mkfifo(context / "pipe")
    with pytest.raises(ValueError, match="pipe is neither a file"):
        digest_of(str(context), {})


def test_digest_does_not_pass_over_what_it_cannot_read(
    context: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = os.scandir

    def refusing(path: Any) -> Any:
        if str(path).endswith("folder"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(PermissionError):
        digest_of(str(context), {})


def test_selection(context: Path) -> None:
    (context / "folder" / "secret").mkdir()
    (context / "folder" / "secret" / "file").touch()
    chosen = contexts.scan(str(context), contexts.Selection(["folder", "link"], ["folder/secret"]))
    assert [entry.path for entry in chosen] == ["folder", "link", "folder/empty", "folder/file"]
    with pytest.raises(ValueError, match=r"no 'more' in .*leave it out"):
        contexts.scan(str(context), contexts.Selection(["more"]))


def test_checksum_of_one_file(context: Path) -> None:
    entries = contexts.scan(str(context))
    assert len(contexts.file_sha256(entries, "./folder/file")) == 64
    assert contexts.file_sha256(entries, "folder") == contexts.file_sha256(entries, "none") == ""


def test_what_is_unpacked_is_what_was_listed(context: Path, tmp_path: Path) -> None:
    (context / "folder" / "file").chmod(0o700)
    (context / "Containerfile").chmod(0o660)
    before = os.umask(0o077)
    try:
        entries = contexts.scan(str(context), portable=True)
        contexts.pack(str(context), entries, str(tmp_path / "archive"))
        (tmp_path / "host").mkdir()
        contexts.unpack(str(tmp_path / "archive"), entries, str(tmp_path / "host"))
    finally:
        os.umask(before)
    assert contexts.scan(str(tmp_path / "host")) == entries
    assert (tmp_path / "host/folder/file").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "host/Containerfile").stat().st_mode & 0o777 == 0o644
    assert contexts.scan(str(context), portable=True) == entries, "the copy's modes do not depend on the copy"


def test_files_that_changed_on_the_way_are_refused(context: Path, tmp_path: Path) -> None:
    entries = contexts.scan(str(context), portable=True)
    (context / "folder" / "file").write_text("newer")
    contexts.pack(str(context), entries, str(tmp_path / "archive"))
    (tmp_path / "host").mkdir()
    with pytest.raises(ValueError, match="changed while they were copied"):
        contexts.unpack(str(tmp_path / "archive"), entries, str(tmp_path / "host"))


def test_archive_cannot_write_elsewhere(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "archive", "w") as tar:
        tar.addfile(tarfile.TarInfo("../outside"))
    (tmp_path / "host").mkdir()
    with pytest.raises(ValueError, match="changed while they were copied"):
        contexts.unpack(str(tmp_path / "archive"), [], str(tmp_path / "host"))
    assert not (tmp_path / "outside").exists()


PARAMS: dict[str, Any] = {"state": "present", "src": "/files", "_manifest": None, "_archive": None}


def test_where_the_files_are() -> None:
    listed = [["file", "a", "0644 00"]]
    assert contexts.given({**PARAMS, "src": None}) is None
    assert contexts.given({**PARAMS, "state": "absent"}) is None
    assert contexts.given({**PARAMS, "_manifest": listed}) == [contexts.Entry("file", "a", "0644 00")]
    with pytest.raises(ValueError, match="only the action plugin"):
        contexts.given(PARAMS)
    assert contexts.awaited(PARAMS)
    assert not contexts.awaited({**PARAMS, "_archive": "/tmp/x"})
    assert not contexts.awaited({**PARAMS, "src": None})
