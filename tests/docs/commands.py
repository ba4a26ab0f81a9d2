"""The commands of a document: the lines of its `console` blocks."""

from __future__ import annotations

import re
import shlex
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Command:
    """One line of a block, continuation lines joined."""

    page: str
    line: str

    def __str__(self) -> str:
        return f"{self.page}: {self.line}"[:110]

    def parts(self, program: str = "") -> list[list[str]]:
        """The words of each command of the line, or of those with a program."""
        lexer = shlex.shlex(self.line, posix=True, punctuation_chars="|&;")
        lexer.whitespace_split = True
        parts: list[list[str]] = [[]]
        for word in lexer:
            if set(word) <= set("|&;"):
                parts.append([])
            else:
                parts[-1].append(word)
        return [words for words in parts if words and words[0].rpartition("/")[2].endswith(program)]

    def program(self, name: str) -> bool:
        """Whether the line runs a program."""
        return bool(self.parts(name))


def commands(page: Path | str) -> list[Command]:
    """The commands of a page (or of a text) in their order."""
    text = page if isinstance(page, str) else page.read_text(encoding="utf-8")
    name = "text" if isinstance(page, str) else str(page.relative_to(ROOT))
    found = []
    for block in re.findall(r"^ *```console\n(.*?)^ *```", text, flags=re.M | re.S):
        for line in re.sub(r"\\\n\s*", "", textwrap.dedent(block)).splitlines():
            if line.strip():
                found.append(Command(name, line.strip()))
    return found
