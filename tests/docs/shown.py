"""What runs each command of the documents, or why nothing does.

By page, the beginning of a command (the longest one counts) and one of

- `Run(file, words)`: the file takes the command from the page and runs it as it stands there
- `Like(file, words)`: the file runs the same program with options or files of its own
- a reason, for what nothing runs

`words` are where the file does so. tests/docs/test_shown.py refuses a command without a line here, and a line
without a command.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.docs.commands import ROOT, Command, commands


@dataclass(frozen=True)
class Run:
    """Taken from the page and run."""

    file: str
    words: str


@dataclass(frozen=True)
class Like(Run):
    """Run with options and files of its own."""


PLAY = "ansible-playbook -i inventory.yml private_ai.chatbot."
HYBRID = Run("tests/hybrid/walkthrough.py", 'TUTORIAL = ROOT / "docs/tutorial/hybrid.md"')
QUICKSTART = Run("tests/e2e/test_tutorial.py", 'TUTORIAL = ROOT / "docs/tutorial/quickstart.md"')
README = Run("tests/e2e/test_tutorial.py", "shown.run_by(shown.README)")
PARTS = Like("tests/packaging/test_how_to.py", "run_by(PARTS)")
MAKE = Like("tests/docs/test_commands.py", '"--dry-run"')
STEPS = "tests/pipeline/test_pipeline.py"
EXECUTION_ENVIRONMENT = Like("tests/awx/test_environment.py", '"ansible-builder"')
A_CLONE = "the tests run in a clone; `<this repository>` is the reader's"
A_RELEASE = "it is the internet's; what the role does with it is in tests/skupper/role/test_command.py"
KUBECTL = "kubectl is the reader's; the tests ask the API for the same fields"

Shown = Run | str
_README: dict[str, Shown] = {
    "apt install git make": "packages of the reader's system; tools/bootstrap.sh installs the rest",
    "git clone": A_CLONE,
    "make quickstart": QUICKSTART,
    "ansible-playbook -i inventories/mine": Like(HYBRID.file, "def walk("),
    "ansible-playbook -i inventories/quickstart playbooks/model.yml -e model_step=list": README,
    "ansible-playbook -i inventories/quickstart playbooks/model.yml -e model_step=rollback": Like(
        STEPS, 'host.step("rollback"'
    ),
    "curl": README,
}
SHOWN: dict[str, dict[str, Shown]] = {
    "README.md": _README,
    "README.pt-BR.md": _README,
    "CONTRIBUTING.md": {"make": MAKE},
    "docs/tutorial/quickstart.md": {
        "": QUICKSTART,
        "git clone": A_CLONE,
        "make down": Like("molecule/default/destroy.yml", "playbooks/teardown.yml"),
    },
    "docs/tutorial/hybrid.md": {"": HYBRID},
    "docs/how-to/a-host-without-internet.md": {"curl": A_RELEASE, "sha256sum": A_RELEASE},
    "docs/how-to/add-a-second-private-site.md": {
        f"{PLAY}site --limit": PARTS,
        f"{PLAY}site --tags verify": PARTS,
        f"{PLAY}teardown --limit": PARTS,
    },
    "docs/how-to/change-the-model.md": {
        f"{PLAY}site --limit private": PARTS,
        f"{PLAY}model -e model_step=fetch": Like(STEPS, '"fetch"'),
        f"{PLAY}model -e model_step=convert": Like(STEPS, '"convert"'),
        f"{PLAY}model -e model_step=promote": Like(STEPS, 'host.step("promote"'),
        f"{PLAY}model -e model_step=list": Like(STEPS, 'host.step("list"'),
        f"{PLAY}model -e model_step=rollback": Like(STEPS, 'host.step("rollback"'),
    },
    "docs/how-to/from-awx.md": {
        "make build": MAKE,
        "ansible-builder build": EXECUTION_ENVIRONMENT,
        "podman push": "the registry is the reader's",
        "ansible-vault encrypt": "Ansible's own; nothing of ours is in it",
        "ansible-playbook playbooks/awx_setup.yml": Like("tests/awx/conftest.py", "playbooks/awx_setup.yml"),
    },
    "docs/how-to/rotate.md": {
        f"{PLAY}rotate --check": Like("tests/skupper/extended/test_role_generated.py", '"--check"'),
        f"{PLAY}rotate": Like("tests/skupper/on_kubernetes/test_role.py", "playbooks/rotate.yml"),
    },
    "docs/how-to/when-the-link-stays-pending.md": {
        f"{PLAY}site --tags verify": PARTS,
        "kubectl": KUBECTL,
        "timeout 5 bash": "the address is the reader's; bash does the rest",
        "podman ps": "the router runs as a process in the tests, not in a container of Skupper's image",
        "systemctl status": "the namespace is the reader's; the unit's name is that of tests/hybrid/stage.py",
    },
    "docs/how-to/your-own-trained-model.md": {
        f"{PLAY}model -e model_step=fetch": Like(STEPS, '"fetch"'),
        f"{PLAY}model -e model_step=train": Like("tests/pipeline/test_trained.py", 'host.step("train"'),
        f"{PLAY}model -e model_step=convert": Like(STEPS, '"convert"'),
        f"{PLAY}model -e model_step=evaluate": Like("tests/pipeline/test_trained.py", 'host.step("evaluate"'),
        f"{PLAY}model -e model_step=promote": Like(STEPS, 'host.step("promote"'),
    },
    "execution-environment/README.md": {"make build": MAKE, "ansible-builder build": EXECUTION_ENVIRONMENT},
    "roles/private_model/README.md": {
        "prometheus --config.file": Like("tests/monitoring/test_queries.py", '"prometheus",'),
        "podman logs": Like("tests/e2e/test_answers.py", 'logged("private-ai-gateway", request_id)'),
    },
}


def key_of(command: Command) -> str | None:
    """The beginning that counts for a command; None without one."""
    keys = [key for key in SHOWN.get(command.page, {}) if command.line.startswith(key)]
    return max(keys, key=len, default=None)


def run_by(shown: Shown) -> list[Command]:
    """The commands that are shown so, each line once."""
    found: dict[str, Command] = {}
    for page, lines in SHOWN.items():
        for command in commands(ROOT / page):
            key = key_of(command)
            if key is not None and lines[key] == shown:
                found.setdefault(command.line, command)
    return list(found.values())
