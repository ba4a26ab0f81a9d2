"""Where runs of the role are killed: what has just happened then."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from tests.standins.hub.serve import StandInHub


def running(name: str) -> bool:
    """Whether a container whose name begins so runs."""
    command = ["podman", "ps", "--quiet", f"--filter=name=^{name}"]
    return bool(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def loading() -> bool:
    """Whether the trial's program is at work."""
    listed = subprocess.run(["ps", "-e", "-o", "args="], capture_output=True, text=True, check=True).stdout
    return any("/model-smoke --model-path" in line for line in listed.splitlines() if "podman" not in line)


Reached = Callable[[StandInHub, str], bool]
POINTS: dict[str, Reached] = {
    "download": lambda hub, said: hub.stats.sent["generation_config.json"] > 5,
    "convert": lambda hub, said: running("private-ai-convert"),
    "candidate": lambda hub, said: "Candidate | Check it" in said,
    "trial": lambda hub, said: loading(),
    "questions": lambda hub, said: "Ask | Ask]" in said,
    "serve": lambda hub, said: "private-ai-model-1]" in said and not running("private-ai-model-1"),
    "record": lambda hub, said: "Record | What is served" in said,
    "note": lambda hub, said: "Glance | noted" in said,
}
