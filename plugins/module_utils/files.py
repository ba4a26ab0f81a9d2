# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Files that are never half-written: a temporary name on the same file system, fsync, rename."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import stat
import tempfile
import time
import typing as t

_BLOCK = 1 << 20


def sha256_of(path: str) -> str:
    """Return the SHA-256 of a file in hexadecimal; OSError when it cannot be read."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


class Checksums:
    """Checksums of large files, remembered in a file: one that was not touched since is not read again.

    An entry counts while device, inode, size and both times (of content and of attributes, the second of
    which nobody can set) are the same. A cache that cannot be read is an empty one.

    :param path: the file; None remembers nothing.
    :param trusted: False reads every file anew, and remembers what was found.
    """

    #: A file changed a moment ago may change once more within the same tick of the clock (seconds).
    SETTLED = 2.0

    def __init__(self, path: str | None, trusted: bool = True) -> None:
        self.path = path
        self.trusted = trusted
        self._entries: dict[str, dict[str, t.Any]] = {}
        self._changed = False
        if not path:
            return
        try:
            with open(path, encoding="utf-8") as stream:
                found = json.load(stream)
            if isinstance(found, dict):
                self._entries = {name: entry for name, entry in found.items() if isinstance(entry, dict)}
        except (OSError, ValueError):
            return

    @staticmethod
    def _state(found: os.stat_result) -> list[int]:
        return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]

    def sha256(self, path: str) -> str:
        """Return the SHA-256 of a file, read only when it may be another one than remembered."""
        name = os.path.realpath(path)
        found = os.stat(name)
        entry = self._entries.get(name, {})
        same = self.trusted and entry.get("state") == self._state(found)
        if same and isinstance(entry.get("sha256"), str):
            return entry["sha256"]
        digest = sha256_of(name)
        after = os.stat(name)
        settled = time.time() - max(after.st_mtime, after.st_ctime) > self.SETTLED
        if settled and self._state(after) == self._state(found):
            self.remember(name, digest)
        return digest

    def remember(self, path: str, digest: str) -> None:
        """Keep a checksum that is known for sure: of a file just written or read."""
        name = os.path.realpath(path)
        self._entries[name] = {"state": self._state(os.stat(name)), "sha256": digest}
        self._changed = True

    def save(self) -> None:
        """Write what is new, without files that have gone; OSError when it cannot be written."""
        if self.path and self._changed:
            kept = {name: entry for name, entry in sorted(self._entries.items()) if os.path.exists(name)}
            write_file(self.path, (json.dumps(kept, indent=1) + "\n").encode(), 0o600)
            self._changed = False


def settle(temporary: str, path: str) -> None:
    """Give a finished file its name, in the place of what was there, and keep that over a power cut."""
    os.replace(temporary, path)
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _clear_cut(folder: str, name: str) -> None:
    """Remove what runs left that were killed while they wrote this file; who still writes holds a lock."""
    mine = re.compile(rf"\.{re.escape(name)}\.[a-z0-9_]{{8}}")
    for path in [os.path.join(folder, entry) for entry in os.listdir(folder) if mine.fullmatch(entry)]:
        # Another run may be doing the same, and what is not ours may stay.
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if stat.S_ISREG(os.fstat(handle).st_mode):
                    os.unlink(path)
            finally:
                os.close(handle)


def _write(path: str, mode: int, fill: t.Callable[[t.BinaryIO], None]) -> None:
    folder, name = os.path.split(path)
    _clear_cut(folder or ".", name)
    handle, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=folder or ".")
    try:
        with os.fdopen(handle, "wb") as stream:
            # Where there are no locks, what was cut stays.
            with contextlib.suppress(OSError):
                fcntl.flock(stream, fcntl.LOCK_EX)
            os.fchmod(stream.fileno(), mode)
            fill(stream)
            stream.flush()
            os.fsync(stream.fileno())
            settle(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def write_file(path: str, content: bytes, mode: int) -> None:
    """Make ``path`` hold ``content`` with ``mode``, or leave it as it was and raise OSError."""
    _write(path, mode, lambda stream: t.cast(None, stream.write(content)))


def copy_file(source: str, path: str, mode: int, sha256: str | None = None) -> str:
    """Make ``path`` a copy of ``source`` with ``mode``, or leave it as it was and raise; return its SHA-256.

    :param sha256: what the copy must have; ValueError when it has another (the source was changed meanwhile).
    """
    digest = hashlib.sha256()

    def fill(stream: t.BinaryIO) -> None:
        with open(source, "rb") as original:
            while block := original.read(_BLOCK):
                digest.update(block)
                stream.write(block)
        if sha256 and digest.hexdigest() != sha256:
            raise ValueError(
                f"{source} changed while it was copied: its SHA-256 was {sha256}, is {digest.hexdigest()}; "
                "try again when nobody writes to it"
            )

    _write(path, mode, fill)
    return digest.hexdigest()
