"""Every command of the documents has a line that says what runs it, and what is said is so."""

from __future__ import annotations

import re

import pytest

from tests.docs.commands import ROOT, Command, commands
from tests.docs.shown import SHOWN, Run, key_of
from tests.docs.test_commands import PAGES

FOUND = [command for page in PAGES for command in commands(page)]


@pytest.mark.parametrize("command", FOUND, ids=str)
def test_something_runs_it_or_nothing_can(command: Command) -> None:
    assert key_of(command) is not None, f"{command}: say in tests/docs/shown.py what runs it"


def test_no_line_is_about_a_command_that_is_gone() -> None:
    used = {(command.page, key_of(command)) for command in FOUND}
    assert not {(page, key) for page, keys in SHOWN.items() for key in keys} - used


def test_the_file_that_runs_it_says_so() -> None:
    for page, lines in SHOWN.items():
        for key, shown in lines.items():
            if isinstance(shown, Run):
                text = (ROOT / shown.file).read_text(encoding="utf-8")
                assert shown.words in text, f"{page}, {key}: {shown.file} has no {shown.words}"


def test_no_command_is_in_a_block_of_another_kind() -> None:
    """There nobody would look for it."""
    for page in PAGES:
        kinds = re.findall(r"^ *```(.*)\n(?:.*\n)*? *```$", page.read_text(encoding="utf-8"), flags=re.M)
        assert set(kinds) <= {"console", "yaml", "json", "text"}, f"{page}: {kinds}"
