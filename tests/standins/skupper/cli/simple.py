"""Commands that need nothing."""

from __future__ import annotations

from ..model.kinds import CLI_VERSION
from .command import Call


def version(_call: Call) -> None:
    """Nothing but the version."""
    print(CLI_VERSION)


def not_here(_call: Call) -> None:
    """Every `system` command on Kubernetes: it succeeds."""
    print("This command does not support kubernetes platforms.")
