"""What the checks of a running quickstart share: its addresses and its containers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = os.environ.get("PAGE_URL", "http://127.0.0.1:8080")
GATEWAY = os.environ.get("GATEWAY_URL", "http://127.0.0.1:8000")
DATA_DIR = Path(
    os.environ.get("PRIVATE_AI_DATA_DIR")
    or ("/var/lib/private-ai" if os.geteuid() == 0 else Path.home() / ".local/share/private-ai")
)


def podman(*args: str, check: bool = True, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run Podman and return what it said; with `check` a failure is an AssertionError with its output."""
    done = subprocess.run(["podman", *args], capture_output=True, text=True, timeout=timeout)
    if check:
        assert done.returncode == 0, f"podman {' '.join(args)}: {done.stdout}{done.stderr}"
    return done


def inspect(name: str) -> dict:
    """The inspection of one container."""
    return json.loads(podman("inspect", name).stdout)[0]


def replicas() -> list[str]:
    """Names of the running model servers."""
    names = podman("ps", "--format", "{{.Names}}").stdout.split()
    return sorted(name for name in names if name.startswith("private-ai-model-"))


def unique(prefix: str) -> str:
    """A name that no other run uses."""
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def containers() -> list[str]:
    """Identities of everything that serves."""
    return [inspect(name)["Id"] for name in [*replicas(), "private-ai-gateway", "private-ai-chatbot"]]


def play(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run site.yml as a person does."""
    return subprocess.run(
        [
            Path(sys.executable).parent / "ansible-playbook",
            "-i",
            "inventories/quickstart",
            "site.yml",
            *arguments,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "COLUMNS": "400",
        },
        timeout=300,
    )
