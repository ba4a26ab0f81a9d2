"""What the parts share: the way to fail, the way to speak, and which versions are at work."""

from __future__ import annotations

import platform
from importlib import metadata

#: What shapes the outcome of a training.
PACKAGES = (
    "instructlab",
    "instructlab-training",
    "instructlab-schema",
    "torch",
    "transformers",
    "safetensors",
)


class Unfit(Exception):
    """It cannot go on; `problems` holds sentences for a person."""

    def __init__(self, *problems: str, status: int = 2) -> None:
        super().__init__("; ".join(problems))
        self.problems = list(problems)
        self.status = status


def say(text: str) -> None:
    """One line for whoever watches."""
    print(f"progress: {text}", flush=True)


def versions() -> dict[str, str]:
    """Versions by package."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            # The distribution's torch brings no metadata of its own.
            module = __import__(name)
            found[name] = str(module.__version__)
    return found
