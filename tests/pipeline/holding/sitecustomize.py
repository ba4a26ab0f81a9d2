"""Makes a program wait for its end just before it does something, for tests that kill runs of the role there.

Python imports this by itself where it finds it (PYTHONPATH). HELD_BEFORE names what Python announces (an
audit event), HELD_WITH is a regular expression of its first two arguments; HELD_FILE is made once a program
waits.
"""

from __future__ import annotations

import os
import re
import sys
import time
from typing import Any


def words(given: Any) -> str:
    """What an event is about, a command with spaces between."""
    if isinstance(given, (list, tuple)):
        return " ".join(map(words, given))
    return os.fsdecode(given) if isinstance(given, bytes) else str(given)


def hold(event: str, arguments: re.Pattern[str], file: str) -> None:
    """Let this program wait for ever before it does that."""

    def announced(name: str, given: tuple[Any, ...]) -> None:
        if name == event and arguments.search(" ".join(map(words, given[:2]))):
            os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o644))
            while True:
                time.sleep(60)

    sys.addaudithook(announced)


if "HELD_BEFORE" in os.environ:
    hold(os.environ["HELD_BEFORE"], re.compile(os.environ["HELD_WITH"]), os.environ["HELD_FILE"])
