"""Which files are read meanwhile, as the kernel tells (inotify)."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

_ACCESS = 0x1
_EVENT = struct.Struct("iIII")


class Reads:
    """The names of the files below some directories that anybody reads while it is entered.

    A file that is mapped into memory is not read: servers of models do that.
    """

    def __init__(self, *folders: Path) -> None:
        self.folders = folders
        self.names: set[str] = set()
        self._handle = -1

    def __enter__(self) -> Reads:
        system = ctypes.CDLL(None, use_errno=True)
        self._handle = system.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        for folder in self.folders:
            for root, _, _ in os.walk(folder):
                if system.inotify_add_watch(self._handle, os.fsencode(root), _ACCESS) < 0:
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), root)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            while True:
                self._take(os.read(self._handle, 1 << 16))
        except BlockingIOError:
            pass
        finally:
            os.close(self._handle)

    def _take(self, events: bytes) -> None:
        at = 0
        while at < len(events):
            length = _EVENT.unpack_from(events, at)[3]
            at += _EVENT.size
            self.names.add(events[at : at + length].rstrip(b"\0").decode())
            at += length

    def models(self) -> set[str]:
        """Those of them that are large."""
        return {name for name in self.names if name.endswith((".gguf", ".safetensors"))}
