# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!
"""The files that an image is made from: listed, packed on the control node and unpacked on the host."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import tarfile
import tempfile
import typing as t

from ..files import sha256_of


class Entry(t.NamedTuple):
    """One file, directory or link below the root; ``what`` is mode and SHA-256, mode, or target."""

    kind: str
    path: str
    what: str


class Selection(t.NamedTuple):
    """What of a directory counts; everything when both are empty."""

    files: t.Sequence[str] = ()
    exclude: t.Sequence[str] = ()

    def takes(self, path: str) -> bool:
        """Return whether a path below the root belongs to it."""
        if path in self.exclude or os.path.basename(path) == "__pycache__":
            return False
        return not self.files or path.split(os.sep, 1)[0] in self.files


def _refuse(error: OSError) -> t.NoReturn:
    # os.walk passes over what it cannot read; an image made without it would be called unchanged for ever.
    raise error


EVERYTHING = Selection()


def scan(root: str, selection: Selection = EVERYTHING, portable: bool = False) -> list[Entry]:
    """Return every entry below ``root``, always in the same order.

    OSError when something cannot be read, ValueError when it is a pipe, socket or device, or not there.

    :param portable: the modes as :func:`pack` writes them: readable for all, writable for the owner.
    """
    for name in selection.files:
        if not os.path.lexists(os.path.join(root, name)):
            raise ValueError(
                f"there is no {name!r} in {root}; leave it out of files, or give another directory"
            )
    found: list[Entry] = []
    for folder, folders, files in os.walk(root, onerror=_refuse):

        def below(name: str, folder: str = folder) -> str:
            return os.path.relpath(os.path.join(folder, name), root)

        folders[:] = sorted(name for name in folders if selection.takes(below(name)))
        for name in [*folders, *sorted(name for name in files if selection.takes(below(name)))]:
            found.append(_entry(root, below(name), portable))
    return found


def _entry(root: str, path: str, portable: bool) -> Entry:
    name = os.path.join(root, path)
    state = os.lstat(name)
    if stat.S_ISLNK(state.st_mode):
        return Entry("link", path, os.readlink(name))
    runs = stat.S_ISDIR(state.st_mode) or state.st_mode & 0o111
    mode = f"{(0o755 if runs else 0o644) if portable else stat.S_IMODE(state.st_mode):04o}"
    if stat.S_ISDIR(state.st_mode):
        return Entry("directory", path, mode)
    if stat.S_ISREG(state.st_mode):
        return Entry("file", path, f"{mode} {sha256_of(name)}")
    raise ValueError(
        f"{name} is neither a file, a directory nor a link; take it out of the build's directory"
    )


def digest(entries: t.Iterable[Entry], values: t.Mapping[str, t.Any]) -> str:
    """Return the SHA-256 over all entries and over ``values``."""
    whole = hashlib.sha256()
    for entry in entries:
        whole.update(b"\0".join([*(os.fsencode(part) for part in entry), b""]))
    whole.update(json.dumps(values, sort_keys=True).encode())
    return whole.hexdigest()


def file_sha256(entries: t.Iterable[Entry], path: str) -> str:
    """Return the SHA-256 of one file; empty when it is not among the entries."""
    wanted = os.path.normpath(path)
    return next((one.what.split()[1] for one in entries if one.kind == "file" and one.path == wanted), "")


def pack(root: str, entries: t.Iterable[Entry], archive: str) -> None:
    """Write the entries into a tar file."""
    with tarfile.open(archive, "w") as tar:
        for entry in entries:
            info = tarfile.TarInfo(entry.path)
            if entry.kind == "link":
                info.type, info.linkname = tarfile.SYMTYPE, entry.what
                tar.addfile(info)
                continue
            info.mode = int(entry.what.split()[0], 8)
            if entry.kind == "directory":
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
                continue
            with open(os.path.join(root, entry.path), "rb") as stream:
                info.size = os.fstat(stream.fileno()).st_size
                tar.addfile(info, stream)


def unpack(archive: str, entries: t.Sequence[Entry], folder: str) -> None:
    """Unpack into an empty directory; ValueError unless exactly ``entries`` are there then."""
    changed = ValueError("the files to build from changed while they were copied to the host; run it again")
    with tarfile.open(archive) as tar:
        # Nothing but what was listed: no path can lead out of the directory.
        if tar.getnames() != [entry.path for entry in entries]:
            raise changed
        if hasattr(tarfile, "tar_filter"):
            tar.extractall(folder, filter="tar")
        else:  # Python before 3.9.17, 3.10.12 and 3.11.4
            tar.extractall(folder)  # noqa: S202
    if scan(folder) != list(entries):
        raise changed


def given(params: t.Mapping[str, t.Any]) -> list[Entry] | None:
    """Return what the action plugin listed on the control node; None when the files are on this host."""
    if not params.get("src") or params["state"] == "absent":
        return None
    if params["_manifest"] is None:
        raise ValueError(
            "src is a directory of the control node, which only the action plugin of this module reads; "
            "call the module by its full name, or use a directory of the host"
        )
    return [Entry(*entry) for entry in params["_manifest"]]


def awaited(params: t.Mapping[str, t.Any]) -> bool:
    """Return whether the files are still on the control node."""
    return bool(params.get("src")) and not params["_archive"]


@contextlib.contextmanager
def at_hand(
    params: t.Mapping[str, t.Any], entries: t.Sequence[Entry] | None, folder: str, tmpdir: str
) -> t.Iterator[str]:
    """Yield ``folder``, or a temporary directory with the files that came from the control node."""
    if entries is None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="context-", dir=tmpdir) as temporary:
        unpack(params["_archive"], entries, temporary)
        yield temporary
