"""What the checks of a running quickstart share: its addresses, its key and helper containers."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

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


@pytest.fixture(scope="session")
def key() -> str:
    """The key that the role generated."""
    return (DATA_DIR / "api-key").read_text().strip()


@pytest.fixture
def page() -> Iterator[httpx.Client]:
    """A visitor's browser, as far as HTTP goes."""
    with httpx.Client(base_url=PAGE, timeout=120) as client:
        yield client


@pytest.fixture
def gateway() -> Iterator[httpx.Client]:
    """A caller of the gateway without a key."""
    with httpx.Client(base_url=GATEWAY, timeout=120) as client:
        yield client


@pytest.fixture
def throwaway() -> Iterator[list[tuple[str, str]]]:
    """Podman objects, as (kind, name), which are removed after the test."""
    made: list[tuple[str, str]] = []
    yield made
    for kind, name in reversed(made):
        podman(kind, "rm", "-f", name, check=False)


def unique(prefix: str) -> str:
    """A name that no other run uses."""
    return f"{prefix}-{uuid.uuid4().hex[:8]}"
