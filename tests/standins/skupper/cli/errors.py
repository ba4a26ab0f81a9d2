"""How a command fails: text on stdout, status 2 for input that is refused, 1 for everything else."""

from __future__ import annotations


class Failed(Exception):
    """A command that did not work."""

    status = 1


class Refused(Failed):
    """Input that is not valid; several reasons are one text of several lines."""

    status = 2


class UsageError(Exception):
    """A command line that cannot be read: the usage goes to stderr, too."""


def refuse(reasons: list[str]) -> None:
    """End here when there is any reason."""
    if reasons:
        raise Refused("\n".join(reasons))
