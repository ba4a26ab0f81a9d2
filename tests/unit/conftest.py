# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What several unit tests need."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

#: What changes a file system, as Python announces it.
CHANGES = {
    "os.chmod",
    "os.chown",
    "os.link",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.symlink",
    "os.truncate",
}
KILLED = 99


def _changes(event: str, arguments: tuple[Any, ...]) -> bool:
    return event in CHANGES or (event == "open" and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR)))


def _die_after(change: int) -> None:
    """End this process once the change of that number is made, like SIGKILL: nothing is tidied or flushed."""
    left = change

    def die(*_: object) -> None:
        os._exit(KILLED)

    def announced(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if left and _changes(event, arguments):
            left -= 1
            if not left:
                # It is announced before it is made, so the next line of Python is the first one after it.
                frame: FrameType | None = sys._getframe(1)
                while frame:
                    frame.f_trace = die
                    frame = frame.f_back
                sys.settrace(die)

    sys.addaudithook(announced)


@pytest.fixture
def cut_everywhere(
    tmp_path: Path,
) -> Callable[[Callable[[Path], Callable[[], Any]], Callable[[], None]], int]:
    """Kill something after each single change that it makes to files, and look what is left each time.

    It gets what prepares a new directory and returns what is to be killed, and what looks afterwards. It
    returns how often it was killed.
    """

    def cut(prepare: Callable[[Path], Callable[[], Any]], look: Callable[[], None]) -> int:
        for change in range(1, 200):
            folder = tmp_path / f"cut-{change}"
            folder.mkdir()
            act = prepare(folder)
            child = os.fork()
            if not child:
                try:
                    _die_after(change)
                    act()
                    os._exit(0)
                finally:
                    os._exit(1)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            assert status in (0, KILLED), f"it failed by itself after {change - 1} changes"
            look()
            if status == 0:
                return change - 1
        raise AssertionError("it never ends")

    return cut
