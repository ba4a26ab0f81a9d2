"""The two READMEs say the same things in the same order, and what they name exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENGLISH = (ROOT / "README.md").read_text()
PORTUGUESE = (ROOT / "README.pt-BR.md").read_text()


def outline(text: str) -> list[int]:
    """Levels of the headings outside code blocks."""
    plain = re.sub(r"```.*?```", "", text, flags=re.S)
    return [len(match) for match in re.findall(r"^(#+) ", plain, flags=re.M)]


def blocks(text: str) -> list[str]:
    """The code blocks, language and content."""
    return re.findall(r"```(.*?)```", text, flags=re.S)


def code(text: str) -> list[str]:
    """Commands and names between backquotes, outside blocks, sorted: sentences may be ordered differently."""
    return sorted(re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.S)))


def links(text: str) -> list[str]:
    return re.findall(r"\]\(([^)]+)\)", text)


def test_same_outline() -> None:
    assert outline(ENGLISH) == outline(PORTUGUESE)


def test_same_commands() -> None:
    assert blocks(ENGLISH) == blocks(PORTUGUESE)


def test_same_names() -> None:
    assert code(ENGLISH) == code(PORTUGUESE)


def test_same_links_and_they_exist() -> None:
    assert links(ENGLISH) == links(PORTUGUESE)
    for target in links(ENGLISH):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"`make ([a-z-]+)", ENGLISH)):
        assert re.search(rf"^{target}\b.*:", makefile, flags=re.M), target


def test_nothing_is_left_to_fill_in() -> None:
    assert "@@" not in ENGLISH + PORTUGUESE
