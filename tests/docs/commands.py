"""The commands of a document: the lines of its `console` blocks, also by its numbered headings."""

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
    name = "text" if isinstance(page, str) else str(page.relative_to(ROOT))
    return [
        Command(name, line.strip())
        for block in blocks(page, "console")
        for line in re.sub(r"\\\n\s*", "", block).splitlines()
        if line.strip()
    ]


def blocks(page: Path | str, language: str) -> list[str]:
    """The blocks of a language, without the indentation of a list."""
    text = page if isinstance(page, str) else page.read_text(encoding="utf-8")
    found = re.findall(rf"^ *```{language}\n(.*?)^ *```", text, flags=re.M | re.S)
    return [textwrap.dedent(one) for one in found]


def parts(page: Path) -> dict[str, list[Command]]:
    """The commands below each heading that has a number."""
    pieces = re.split(r"^## (\d+)[.] .*$", page.read_text(encoding="utf-8"), flags=re.M)
    name = str(page.relative_to(ROOT))
    return {
        number: [Command(name, one.line) for one in commands(text)]
        for number, text in zip(pieces[1::2], pieces[2::2], strict=True)
    }
