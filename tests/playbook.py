"""`ansible-playbook` on this host, with this clone as the collection and its settings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAM = str(Path(sys.executable).parent / "ansible-playbook")


def run_playbook(
    *words: str | Path, cwd: Path = ROOT, limit: float = 300, expect: int = 0, **environment: str
) -> str:
    """Run it and return what it printed.

    :param words: after the program's name.
    :param expect: the exit status; AssertionError with all that was said when it is another.
    :param environment: variables besides those of this process.
    """
    own = {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        "NO_COLOR": "1",
    }
    done = subprocess.run(
        [PROGRAM, *map(str, words)],
        cwd=cwd,
        env={**os.environ, **own, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout
