# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Files that are never half-written: a temporary name on the same file system, fsync, rename."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import typing as t

_BLOCK = 1 << 20


def sha256_of(path: str) -> str:
    """Return the SHA-256 of a file in hexadecimal; OSError when it cannot be read."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _settle(temporary: str, path: str) -> None:
    os.replace(temporary, path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write(path: str, mode: int, fill: t.Callable[[t.BinaryIO], None]) -> None:
    handle, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            fill(stream)
            stream.flush()
            os.fsync(stream.fileno())
        _settle(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def write_file(path: str, content: bytes, mode: int) -> None:
    """Make ``path`` hold ``content`` with ``mode``, or leave it as it was and raise OSError."""
    _write(path, mode, lambda stream: t.cast(None, stream.write(content)))


def copy_file(source: str, path: str, mode: int) -> None:
    """Make ``path`` a copy of ``source`` with ``mode``, or leave it as it was and raise OSError."""

    def fill(stream: t.BinaryIO) -> None:
        with open(source, "rb") as original:
            shutil.copyfileobj(original, stream, _BLOCK)

    _write(path, mode, fill)
