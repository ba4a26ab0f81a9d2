# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""A root file system of a few host programs with the libraries they need, as a tar archive.

It makes an image where neither a registry nor a package mirror answers, in some milliseconds.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import tarfile
import typing as t

from .client import RunCommand

_LIBRARY = re.compile(r"(?:=>\s*)?(/\S+)\s+\(0x")

#: Directories a container runtime or the programs expect.
_DIRECTORIES = ("dev", "etc", "proc", "run", "sys", "tmp", "usr", "var/tmp")

_PASSWD = b"root:x:0:0:root:/:/bin/false\nprobe:x:1001:1001:probe:/:/bin/false\n"


class RootfsError(Exception):
    """A program of the host could not be found or read."""


def libraries(ldd_output: str) -> list[str]:
    """Return the paths of the libraries that ``ldd`` printed, the loader included."""
    return sorted(set(_LIBRARY.findall(ldd_output)))


def needed_files(programs: t.Iterable[str], run_command: RunCommand) -> list[str]:
    """Return absolute paths of the programs and everything they load; RootfsError when one is missing."""
    files: set[str] = set()
    for program in programs:
        path = shutil.which(program)
        if path is None:
            raise RootfsError(f"the program {program} is not on this host")
        files.add(path)
        rc, stdout, _stderr = run_command(["ldd", path])
        # A static program makes ldd fail, and needs nothing.
        files.update(libraries(stdout) if rc == 0 else [])
    return sorted(files)


def archive(files: t.Iterable[str], empty: t.Iterable[str] = ()) -> bytes:
    """Return a tar archive with the files under their own paths and the directories of :data:`_DIRECTORIES`.

    :param empty: further directories, to be mounted upon.
    """
    buffer = io.BytesIO()
    seen: set[str] = set()
    with tarfile.open(fileobj=buffer, mode="w") as tar:

        def directory(path: str) -> None:
            path = path.strip("/")
            if not path or path in seen:
                return
            directory(os.path.dirname(path))
            seen.add(path)
            entry = tarfile.TarInfo(path)
            entry.type = tarfile.DIRTYPE
            entry.mode = 0o1777 if path in ("tmp", "var/tmp") else 0o755
            tar.addfile(entry)

        def content(path: str, data: bytes, mode: int) -> None:
            directory(os.path.dirname(path))
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))

        for path in (*_DIRECTORIES, *empty):
            directory(path)
        content("/etc/passwd", _PASSWD, 0o644)
        for path in files:
            try:
                # Links are followed: /lib64/ld-linux.so must be a file where nothing else is.
                with open(path, "rb") as stream:
                    data = stream.read()
            except OSError as error:
                raise RootfsError(f"{path} cannot be read: {error}") from error
            content(path, data, 0o755)
    return buffer.getvalue()
