"""The commands of the quickstart's tutorial and of the README, as they stand there, where it runs."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.docs import shown
from tests.docs.commands import ROOT, Command, commands
from tests.e2e.quickstart_host import DATA_DIR

TUTORIAL = ROOT / "docs/tutorial/quickstart.md"
#: What the scenario does itself: it has a clone, and its last beat removes what was made.
LEFT_OUT = ("git clone", "make down")
#: What a reader sees after a command that begins so.
SEEN = {
    "curl -s http://127.0.0.1:8080": ['"response"'],
    "curl -s http://127.0.0.1:8000/v1/models": ['"object":"list"'],
    "curl -s http://127.0.0.1:8000/v1/chat": ["data: [DONE]"],
    "ansible-playbook -i inventories/quickstart playbooks/model.yml": ["current", "demo"],
    "make status": ["private half: UP", "instructlab 0.", "llama-cpp-python 0."],
    ".venv/bin/ansible-playbook -i inventories/quickstart playbooks/verify.yml": ["without a way out"],
    ".venv/bin/ansible-playbook -i inventories/quickstart site.yml": ["failed=0"],
    "make quickstart": [
        "failed=0",
        "Page: http://127.0.0.1:8080/",
        "Try: curl -s http://127.0.0.1:8080/api/completions",
        "Key: ",
        "inventories/hybrid",
        "Stop: make down",
    ],
}


def run(line: str) -> None:
    """Run it as its reader does, who sees what is meant to be seen."""
    mine = {
        name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "MOLECULE_"))
    }
    done = subprocess.run(
        # An ordinary user's key is elsewhere, as the tutorial says.
        ["bash", "-euo", "pipefail", "-c", line.replace("/var/lib/private-ai", str(DATA_DIR))],
        cwd=ROOT,
        env={**mine, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout[-4000:]}{done.stderr[-2000:]}"
    for seen in [one for beginning in SEEN if line.startswith(beginning) for one in SEEN[beginning]]:
        assert seen.replace(" ", "") in done.stdout.replace(" ", ""), f"{line}\n{done.stdout[-4000:]}"


def test_every_command_of_the_tutorial_works_in_its_order() -> None:
    lines = [one.line for one in commands(TUTORIAL) if not one.line.startswith(LEFT_OUT)]
    assert "make quickstart" in lines[-1:], "the tutorial ends with the quickstart as it was"
    for line in lines:
        run(line)


@pytest.mark.parametrize("command", shown.run_by(shown.README), ids=str)
def test_a_command_of_the_readme(command: Command) -> None:
    run(command.line)
