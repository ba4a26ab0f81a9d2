"""Ports for what tests start."""

from __future__ import annotations

import contextlib
import random
import socket

#: Below those that outgoing connections get: one of them could take the port before a server does.
LOWEST, HIGHEST = 20_000, 29_999
_ANY = random.SystemRandom()


def free_ports(count: int) -> list[int]:
    """Ports of this host, each another one, on which nobody listened a moment ago."""
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < count:
            port = _ANY.randint(LOWEST, HIGHEST)
            with contextlib.suppress(OSError):
                held.enter_context(socket.create_server(("", port)))
                found.append(port)
    return found


def free_port() -> int:
    """One of them."""
    return free_ports(1)[0]
