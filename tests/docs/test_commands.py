"""A command in the documents can be run: its program, target, playbook, options, variables and files exist.

What runs each of them on top of that is in tests/docs/shown.py.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from ansible.cli.playbook import PlaybookCLI
from ansible.parsing.splitter import parse_kv

from tests.docs.commands import ROOT, Command, blocks, commands

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "roles/*/README.md", "execution-environment/README.md")
    for path in ROOT.glob(pattern)
    if path.name != "CHANGELOG.md"
)
#: Programs of the system and of others, which the documents may use.
PROGRAMS = set(
    "ansible-builder ansible-galaxy ansible-playbook ansible-vault apt cat cd cp curl echo git grep kubectl"
    " make podman prometheus sha256sum systemctl timeout .venv/bin/python".split()
)
OURS = ("inventories/", "playbooks/", "docs/", "roles/", "tools/", "tests/")
#: Where a reader's own files are.
THEIRS = ("inventories/mine",)
ARGUMENTS = yaml.safe_load((ROOT / "playbooks/vars/arguments.yml").read_text(encoding="utf-8"))[
    "playbook_arguments"
]


def found() -> list[Command]:
    return [command for page in PAGES for command in commands(page)]


def variables() -> set[str]:
    """Every variable of a role."""
    return {
        name
        for path in ROOT.glob("roles/*/defaults/main.yml")
        for name in yaml.safe_load(path.read_text(encoding="utf-8"))
    }


def test_the_documents_have_commands() -> None:
    assert len(found()) > 60


@pytest.mark.parametrize("command", found(), ids=str)
def test_program_and_files_exist(command: Command) -> None:
    for words in command.parts():
        program = words[0].removeprefix(".venv/bin/") if words[0] != ".venv/bin/python" else words[0]
        assert program in PROGRAMS, f"{command}: {program} is none of the programs that the documents use"
        for word in words[1:]:
            path = word.removeprefix("@")
            if path.startswith(OURS) and not path.startswith(THEIRS):
                assert (ROOT / path).exists(), f"{command}: {path} is not there"


@pytest.mark.parametrize("command", [one for one in found() if one.program("make")], ids=str)
def test_make_targets_and_variables_exist(command: Command) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for words in command.parts("make"):
        for word in words[1:]:
            name, given, _ = word.partition("=")
            assert not given or f"$({name})" in makefile or f"$(if $({name})" in makefile, (
                f"{command}: {name} means nothing"
            )
        done = subprocess.run(
            [*words, "--dry-run"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0 and done.stdout, f"{command}: {done.stderr}"


def playbook(name: str) -> Path:
    """The file of a playbook by its path or by its full name."""
    return ROOT / (
        f"playbooks/{name.rpartition('.')[2]}.yml" if name.startswith("private_ai.chatbot.") else name
    )


@pytest.mark.parametrize("command", [one for one in found() if one.program("ansible-playbook")], ids=str)
def test_playbooks_options_and_variables_exist(command: Command) -> None:
    for words in command.parts("ansible-playbook"):
        cli = PlaybookCLI(["ansible-playbook", *words[1:]])
        cli.init_parser()
        # Ansible's own parser: an option that does not exist ends it.
        options = cli.parser.parse_args(words[1:])
        assert options.args, command
        tasks = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("roles/*/tasks/**/*.yml"))
        for name in options.args:
            path = playbook(name)
            assert path.is_file(), f"{command}: there is no playbook {name}"
            text = path.read_text(encoding="utf-8")
            own = set((ARGUMENTS.get(path.stem) or {}).get("options") or {})
            for given in options.extra_vars or []:
                if given.startswith("@"):
                    continue
                # As Ansible reads it: a value with a space needs quotes inside of the shell's.
                values = yaml.safe_load(given) if given.startswith("{") else parse_kv(given)
                assert "_raw_params" not in values, f"{command}: {given} is more than one word to Ansible"
                for variable in values:
                    known = own | variables() | set(re.findall(r"-e (\w+)=", text))
                    assert variable in known, f"{command}: {path.name} takes no {variable}"
            for tag in options.tags or []:
                for one in tag.split(","):
                    assert re.search(rf"tags: \[[^]]*\b{one}\b", tasks + text), f"{command}: no tag {one}"


def test_yaml_of_the_tutorials_and_how_tos_is_yaml() -> None:
    for page in PAGES:
        for block in blocks(page, "yaml"):
            assert yaml.safe_load(block), f"{page.name}: {block}"


def test_what_is_quoted_is_split_as_a_shell_does() -> None:
    """The extraction itself: continuation lines, `&&`, comments, substitutions and prompts of a list."""
    lines = ["1. Do", "", "   ```console", "   make a && make b   # why", "   curl -s X \\"]
    text = "\n".join([*lines, """     -d '{"a": "b && c"}'""", "   ```", ""])
    first, second = commands(text)
    assert first.parts() == [["make", "a"], ["make", "b"]]
    assert second.parts() == [["curl", "-s", "X", "-d", '{"a": "b && c"}']]
