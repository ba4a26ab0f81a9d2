"""The commands of the tutorial of both sides, run on the stage as they stand there.

    python -m tests.hybrid.walkthrough [--check] PART...      a part is the number of a heading

What is not literal is in `adapted` and `edit`: the reader's inventory is a directory of the stage, and what
is written into it is the tutorial's own text, with the values of molecule/hybrid/host_vars for its examples.
"""

from __future__ import annotations

import argparse
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.docs.commands import ROOT, Command, blocks, parts
from tests.hybrid.stage import BIN, FOLDER, MINE, left

TUTORIAL = ROOT / "docs/tutorial/hybrid.md"
#: What the tutorial calls the reader's inventory.
THEIRS = "inventories/mine"
SETTINGS = "group_vars/all/main.yml"
#: teardown.yml asks until somebody has typed yes.
QUESTION, ANSWERED = b"Type yes to go on", b"TASK [It was confirmed]"
#: Added to commands that are to say only what they would do. The scenario does so before anything is there.
PLAN = " --check --diff"
#: What a reader sees after a command that begins so.
SEEN = {
    "ansible-playbook -i inventories/mine playbooks/preflight.yml": [r"ilab-podman .*changed=0 .*failed=0"],
    f"ansible-playbook -i inventories/mine site.yml{PLAN}": [
        *[rf"changed: \[ilab-podman\] => \(item=private-ai-{one}\)" for one in ("model", "edge")],
        *[rf"\+\+\+ after: private-ai-{one} \(wanted\)" for one in ("model-1", "gateway")],
        *[rf"\+ +kind: Site\n\+ +metadata:\n\+ +name: {one}\n" for one in ("ilab-podman", "ilab-chat")],
        *[rf"\+ +{one}:\n" for one in ("Namespace/ilab-chat", "Deployment/chatbot", "Ingress/chatbot")],
        *[rf"{one} .*changed=[1-9].* failed=0" for one in ("ilab-podman", "ilab-chat")],
    ],
    "ansible-playbook -i inventories/mine playbooks/verify.yml": ["another pod does not reach the listener"],
    "ansible-playbook -i inventories/mine playbooks/status.yml": ["private half: UP", "public half: +UP"],
    "ansible-playbook -i inventories/mine playbooks/teardown.yml": [r"ilab-podman .*changed=[1-9]"],
}
LIMIT_SECONDS = 1800


def adapted(line: str) -> str:
    """A command with the stage's inventory in place of the reader's."""
    return line.replace(THEIRS, str(MINE))


def edit() -> None:
    """Write into the copied inventory what the tutorial says, and what is different on the stage."""
    (text,) = [one for one in blocks(TUTORIAL, "yaml") if one.startswith(f"# {THEIRS}/{SETTINGS}\n")]
    (MINE / SETTINGS).write_text(f"---\n{text}", encoding="utf-8")
    shutil.copytree(ROOT / "molecule/hybrid/host_vars", MINE / "host_vars")


def environment() -> dict[str, str]:
    """A reader's: nothing of molecule's but the place of the stage."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANSIBLE_", "MOLECULE_")) or name == "MOLECULE_EPHEMERAL_DIRECTORY"
    }
    path = os.pathsep.join([str(BIN), str(Path(sys.executable).parent), kept.get("PATH", "")])
    return {**kept, "PATH": path, "NO_COLOR": "1", "TERM": "dumb"}


def run(line: str) -> str:
    """Run a command at a terminal, where somebody says yes; what it said, RuntimeError when it fails."""
    terminal, stdin = pty.openpty()
    said, end = b"", time.monotonic() + LIMIT_SECONDS
    with subprocess.Popen(
        ["setsid", "--ctty", "bash", "-euo", "pipefail", "-c", line],
        cwd=ROOT,
        env=environment(),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout is not None
        os.close(stdin)
        try:
            while time.monotonic() < end:
                if select.select([process.stdout], [], [], 1)[0]:
                    piece = os.read(process.stdout.fileno(), 65536)
                    if not piece:
                        break
                    said += piece
                    sys.stdout.buffer.write(piece)
                    sys.stdout.buffer.flush()
                elif QUESTION in said and ANSWERED not in said:
                    os.write(terminal, b"yes\r")
            else:
                process.terminate()
        finally:
            os.close(terminal)
    if process.returncode:
        raise RuntimeError(f"{line} ended with {process.returncode}")
    return said.decode(errors="replace")


def walk(command: Command, plan: str = "") -> None:
    """Run a command of the tutorial; RuntimeError when its reader would not see what is meant to be seen."""
    line = command.line + plan
    print(f"$ {adapted(line)}", flush=True)
    said = run(adapted(line))
    for beginning, patterns in SEEN.items():
        missing = [one for one in patterns if not re.search(one, said)]
        if line.startswith(beginning) and missing:
            raise RuntimeError(f"{line} does not say {missing}")
    if plan:
        made = left() + [str(one) for one in [FOLDER / "data"] if one.exists()]
        if made:
            raise RuntimeError(f"{line} made {made}")
    if line.startswith("cp "):
        edit()


def main() -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="run each on empty systems, as a plan")
    parser.add_argument("part", nargs="+", choices=sorted(parts(TUTORIAL)))
    given = parser.parse_args()
    for part in given.part:
        for command in parts(TUTORIAL)[part]:
            walk(command, PLAN if given.check else "")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RuntimeError as problem:
        sys.exit(str(problem))
