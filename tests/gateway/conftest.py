"""The fixture of the gateway's tests; what it starts is in gateway_stack.py."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.gateway_stack import Gateway, Replica


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Starts one: `gateway(replicas=1, rate=20, tokens=1200, keep_alive=0, mutate=..., queue_limit=...)`."""
    assert shutil.which("haproxy"), "haproxy is not on the PATH; remedy: make test installs it"
    gateways: list[Gateway] = []
    started: list[Replica] = []

    def start(
        replicas: int = 1, rate: float = 20, tokens: int = 1200, keep_alive: int = 0, **settings: Any
    ) -> Gateway:
        mine = [Replica(rate, tokens, keep_alive) for _ in range(replicas)]
        started.extend(mine)
        folder = tmp_path / f"gateway{len(gateways)}"
        folder.mkdir()
        gateways.append(Gateway(folder, mine, **settings))
        return gateways[-1]

    yield start
    for one in gateways:
        one.stop()
    for replica in started:
        replica.stop()
