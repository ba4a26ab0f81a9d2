# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Fetching files into a staging directory that outlives the run, so that nothing is fetched twice."""

from __future__ import annotations

import concurrent.futures
import contextlib
import errno
import hashlib
import os
import shutil
import threading
import time
import typing as t

from ..podman.watch import HEARTBEAT, Progress
from .client import Hub, pause
from .errors import HubError, Transient
from .snapshot import FILE_MODE, File

_BLOCK = 1 << 20


class Stopped(Exception):
    """Another file failed, so this one need not go on."""


class Digest:
    """The checksum that the Hub vouches for, made while a file comes."""

    def __init__(self, file: File) -> None:
        self._kind = file.identity.partition(":")[0]
        self._size = file.size
        self.restart()

    def restart(self) -> None:
        """Forget what came."""
        self._hash = hashlib.sha256()
        if self._kind == "git":
            # Not for safety: it is how Git names a file.
            self._hash = hashlib.sha1(f"blob {self._size}\0".encode(), usedforsecurity=False)

    def update(self, block: bytes) -> None:
        """Take more of the file."""
        self._hash.update(block)

    def identity(self) -> str:
        """Return what the file would have to be called."""
        return f"{self._kind}:{self._hash.hexdigest()}"


class Counter:
    """Bytes that came, for the progress and the result."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total = progress, total
        self.fetched = 0
        self._lock = threading.Lock()
        self._began = self._told = time.monotonic()

    def add(self, count: int) -> None:
        """Count some."""
        with self._lock:
            self.fetched += count

    def tell(self) -> None:
        """Say how far it is, now and then."""
        now = time.monotonic()
        if now - self._told < HEARTBEAT:
            return
        self._told = now
        rate = self.fetched / max(now - self._began, 0.001)
        left = max(self.total - self.fetched, 0)
        share = 100 * self.fetched // max(self.total, 1)
        until = f", about {left / rate:.0f} s left" if rate else ""
        self.progress.say(
            f"{readable(self.fetched)} of {readable(self.total)} ({share} %), {readable(int(rate))}/s{until}"
        )


def readable(size: int) -> str:
    """Return a number of bytes as people write it."""
    if size < 1000:
        return f"{size} B"
    value = float(size)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 1000 or unit == "GB":
            return f"{value:.1f} {unit}"
    return ""  # pragma: no cover


class Staging:
    """A directory beside the destination: complete files under their checksums, cut ones as ``.part``."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def blob(self, file: File) -> str:
        """Return where a complete file lies."""
        return os.path.join(self.folder, "files", file.identity.partition(":")[2])

    def part(self, file: File) -> str:
        """Return where a file lies that is still coming."""
        return self.blob(file) + ".part"

    def has(self, file: File) -> bool:
        """Return whether a file is complete; it has been checked before it got its name."""
        return _size(self.blob(file)) == file.size

    def missing(self, file: File) -> int:
        """Return how many bytes of a file have still to come."""
        if self.has(file):
            return 0
        size = _size(self.part(file))
        return file.size - size if 0 <= size <= file.size else file.size

    def prepare(self, wanted: t.Iterable[File]) -> None:
        """Make the directory, and remove what belongs to other snapshots."""
        folder = os.path.join(self.folder, "files")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        os.chmod(self.folder, 0o700)
        kept = {path for file in wanted for path in (self.blob(file), self.part(file))}
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            if path not in kept:
                os.unlink(path)

    def settle(self, file: File, stream: t.BinaryIO, path: str) -> None:
        """Give a file that was checked its name."""
        os.fchmod(stream.fileno(), FILE_MODE)
        os.fsync(stream.fileno())
        os.replace(path, self.blob(file))


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return -1


def copy_cached(path: str, file: File, staging: Staging) -> bool:
    """Take a file from a local cache; False when it is not the one that the Hub lists."""
    temporary = staging.blob(file) + ".copy"
    digest = Digest(file)
    try:
        with open(path, "rb") as source, open(temporary, "wb") as target:
            while block := source.read(_BLOCK):
                digest.update(block)
                target.write(block)
            target.flush()
            if digest.identity() != file.identity:
                return False
            staging.settle(file, target, temporary)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    return True


class Fetcher:
    """Fetches the files of one commit, several at a time."""

    def __init__(self, hub: Hub, commit: str, staging: Staging, counter: Counter) -> None:
        self.hub, self.commit, self.staging, self.counter = hub, commit, staging, counter
        self._stop = threading.Event()

    def all(self, files: t.Sequence[File], workers: int) -> None:
        """Fetch them; the first failure ends all."""
        with concurrent.futures.ThreadPoolExecutor(max_workers=workers) as pool:
            # The largest first, or it would be waited for alone at the end.
            order = sorted(files, key=lambda file: -file.size)
            futures = [pool.submit(self.one, file) for file in order]
            pending = set(futures)
            try:
                while pending:
                    done, pending = concurrent.futures.wait(
                        pending, timeout=1, return_when=concurrent.futures.FIRST_EXCEPTION
                    )
                    self.counter.tell()
                    if any(future.exception() for future in done):
                        break
            finally:
                if pending:
                    self._stop.set()
                    pool.shutdown(wait=True, cancel_futures=True)
        failures = [future.exception() for future in futures if not future.cancelled()]
        real = [error for error in failures if error is not None and not isinstance(error, Stopped)]
        if real:
            raise real[0]

    def one(self, file: File) -> None:
        """Fetch what is missing of one file; HubError when what comes is not what the Hub lists."""
        path = self.staging.part(file)
        with open(path, "ab+", buffering=0) as stream:
            if os.fstat(stream.fileno()).st_size > file.size:
                stream.truncate(0)
            resumed = os.fstat(stream.fileno()).st_size > 0
            while True:
                digest = self._complete(file, stream)
                if digest.identity() == file.identity:
                    self.staging.settle(file, t.cast("t.BinaryIO", stream), path)
                    return
                stream.truncate(0)
                if not resumed:
                    break
                # The part that lay there may have been damaged; the Hub gets one chance to prove itself.
                self.hub.said(f"{file.name} is fetched again: what was there of it did not fit")
                resumed = False
        os.unlink(path)
        raise HubError(
            f"{file.name} came with checksum {digest.identity()}, the Hub lists {file.identity}; what came "
            "was thrown away. Try again, or report it to the repository or mirror"
        )

    def _complete(self, file: File, stream: t.Any) -> Digest:
        digest = Digest(file)
        stream.seek(0)
        while block := stream.read(_BLOCK):
            digest.update(block)
        attempt = 0
        while stream.tell() < file.size:
            before = stream.tell()
            try:
                self._receive(file, stream, digest)
                if stream.tell() < file.size:
                    raise Transient(f"{file.name} ends after {stream.tell()} of {file.size} bytes")
            except Transient as error:
                attempt = 0 if stream.tell() > before else attempt
                if attempt >= self.hub.settings.retries:
                    raise HubError(f"{file.name}: {error}") from error
                seconds = pause(attempt, error.wait)
                attempt += 1
                self.hub.said(f"{file.name} goes on in {seconds:g} s: {error}")
                if self._stop.wait(seconds):
                    raise Stopped from error
        return digest

    def _receive(self, file: File, stream: t.Any, digest: Digest) -> None:
        have = stream.tell()
        with self.hub.reading(file.name, self.commit, have) as (first, blocks):
            if first not in (0, have):
                raise HubError(
                    f"{file.name} was asked for from byte {have} on and comes from byte {first} on; report "
                    "it to the mirror or proxy"
                )
            if first != have:
                # The server does not do ranges, so all of it comes again.
                stream.truncate(0)
                stream.seek(0)
                digest.restart()
                have = 0
            for block in blocks:
                if self._stop.is_set():
                    raise Stopped
                have += len(block)
                if have > file.size:
                    stream.truncate(0)
                    raise HubError(
                        f"{file.name} does not end after the {file.size} bytes that the Hub lists; what came "
                        "was thrown away. Report it to the repository or mirror"
                    )
                write_all(stream, block)
                digest.update(block)
                self.counter.add(len(block))


def write_all(stream: t.Any, block: bytes) -> None:
    """Write a block to an unbuffered file; ValueError with the remedy when the disk is full."""
    view = memoryview(block)
    try:
        while view:
            view = view[stream.write(view) :]
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise disk_full(stream.name) from error


def disk_full(path: str) -> ValueError:
    """Return the error for a disk that is full."""
    return ValueError(
        f"the file system of {path} is full ({readable(free_bytes(path))} free); make room, then run it "
        "again: what was fetched so far is kept there"
    )


def free_bytes(path: str) -> int:
    """Return the bytes that may still be written where ``path`` is or will be."""
    folder = path
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder) or "."
    return shutil.disk_usage(folder).free
