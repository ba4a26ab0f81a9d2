# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Where things are kept; a directory in the place of another one, never half of it, never by two at once."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import pwd
import shutil
import time
import typing as t

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2

#: What says that exchanging is not known to this kernel, file system or C library.
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)


def default_data_directory(uid: int | None = None) -> str:
    """Return where role private_model keeps things for a user, by default of the one who asks."""
    user = os.geteuid() if uid is None else uid
    if user == 0:
        return "/var/lib/private-ai"
    return os.path.join(pwd.getpwuid(user).pw_dir, ".local/share/private-ai")


class Places:
    """The names beside a destination that this collection uses."""

    def __init__(self, dest: str) -> None:
        self.dest = dest.rstrip("/") or "/"
        self.parent, name = os.path.split(self.dest)
        self.parent = self.parent or "."
        beside = os.path.join(self.parent, f".{name}")
        self.staging = f"{beside}.partial"
        self.tree = os.path.join(self.staging, "content")
        #: Only where directories cannot be exchanged: the old content while the new one takes its place.
        self.old = f"{beside}.old"
        self.lock = f"{beside}.lock"

    def current(self) -> str:
        """Return where the present content is: at the destination, or on the way to be replaced."""
        if not os.path.lexists(self.dest) and os.path.isdir(self.old):
            return self.old
        return self.dest


def check_places(places: Places, check_mode: bool, manifest: str, what: str) -> None:
    """Raise ValueError when the destination cannot be one.

    :param manifest: file in every directory of ours, by which it is known.
    :param what: what such a directory is, as in "a snapshot".
    """
    if not os.path.isabs(places.dest) or places.dest == "/":
        raise ValueError(f"dest is {places.dest!r}; give the absolute path of a directory of its own")
    if os.path.islink(places.dest):
        raise ValueError(f"dest {places.dest!r} is a link; give the directory that it leads to")
    linked = next((path for path in (places.staging, places.old) if os.path.islink(path)), None)
    if linked:
        raise ValueError(f"{linked!r}, which this module works in, is a link; remove it, then try again")
    if os.path.lexists(places.dest) and not os.path.isdir(places.dest):
        raise ValueError(f"dest {places.dest!r} is a file; give the path of a directory of its own")
    if not os.path.isdir(places.parent):
        # In check mode a task before this one would have made it.
        if check_mode:
            return
        raise ValueError(
            f"{places.parent!r}, where dest has to be, does not exist; make it first (ansible.builtin.file)"
        )
    if os.path.isdir(places.dest) and os.stat(places.dest).st_dev != os.stat(places.parent).st_dev:
        raise ValueError(
            f"dest {places.dest!r} is a mount point, which cannot be replaced as a whole; give a directory "
            "below it"
        )
    current = places.current()
    if os.path.isdir(current) and not os.path.isfile(os.path.join(current, manifest)):
        inside = os.listdir(current)
        if inside:
            raise ValueError(
                f"dest {places.dest!r} holds {len(inside)} entries ({', '.join(sorted(inside)[:3])}) and no "
                f"{manifest}: it is not {what} that this module made, and is not replaced; give another "
                "directory, or empty it"
            )


class Lock:
    """One run at a time for each destination; the file goes with the lock."""

    def __init__(self, path: str, timeout: float, waiting: t.Callable[[str], None]) -> None:
        self.path, self.timeout, self.waiting = path, timeout, waiting
        self._handle = -1

    def __enter__(self) -> Lock:
        """Take it; ValueError when another run keeps it for too long."""
        end, told = time.monotonic() + self.timeout, False
        while not self._try():
            if time.monotonic() >= end:
                raise ValueError(
                    f"another run (process {self._holder()}) is working on this destination and did not end "
                    f"within {self.timeout:g} s (option lock_timeout); wait for it, or end it, then try again"
                )
            if not told:
                self.waiting(f"waiting for another run (process {self._holder()})")
                told = True
            time.sleep(0.2)
        return self

    def _try(self) -> bool:
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The run that had it may have taken the file away meanwhile.
            here = os.stat(self.path)
        except (BlockingIOError, FileNotFoundError):
            os.close(handle)
            return False
        if (here.st_dev, here.st_ino) != (os.fstat(handle).st_dev, os.fstat(handle).st_ino):
            os.close(handle)
            return False
        os.truncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._handle = handle
        return True

    def _holder(self) -> str:
        try:
            with open(self.path, encoding="ascii", errors="replace") as stream:
                return stream.read(20).strip() or "unknown"
        except OSError:
            return "unknown"

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        os.unlink(self.path)
        os.close(self._handle)


def exchange(one: str, other: str) -> bool:
    """Swap two directories in one step; False when this host cannot."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), one, None, other)


def sync_path(path: str) -> None:
    """Make a file or the names in a directory last."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def recover(places: Places) -> bool:
    """Bring a destination back that a run left between two names; return whether there was one."""
    if places.current() == places.dest:
        return False
    os.rename(places.old, places.dest)
    sync_path(places.parent)
    return True


def put_in_place(places: Places) -> None:
    """Make the assembled directory the one at the destination; the old one goes."""
    if not os.path.lexists(places.dest) or not os.listdir(places.dest):
        os.rename(places.tree, places.dest)
    elif not exchange(places.tree, places.dest):
        if os.path.lexists(places.old):
            shutil.rmtree(places.old)
        os.rename(places.dest, places.old)
        os.rename(places.tree, places.dest)
    sync_path(places.parent)
    clear(places)


def clear(places: Places) -> None:
    """Remove what is left beside the destination."""
    for folder in (places.old, places.staging):
        if os.path.isdir(folder):
            shutil.rmtree(folder)


def remove(places: Places) -> None:
    """Remove the directory and everything beside it; it is gone at once."""
    os.makedirs(places.staging, mode=0o700, exist_ok=True)
    if os.path.lexists(places.tree):
        shutil.rmtree(places.tree)
    if os.path.lexists(places.dest):
        os.rename(places.dest, places.tree)
        sync_path(places.parent)
    clear(places)
