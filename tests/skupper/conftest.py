"""The fixtures of Skupper's tests."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import rows
from rows import Row, Seen, scenarios
from skupper.grant_server import GrantServer


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A given cluster's controller watches every namespace: what needs one without is left out there."""
    if not os.environ.get("SKUPPER_TEST_KUBECONFIG"):
        return
    fixtures = [(item, getattr(item, "fixturenames", ())) for item in items]
    left = [item for item, names in fixtures if "empty" in names and "cluster" not in names]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


@pytest.fixture(scope="session")
def grant_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GrantServer]:
    """A grant server."""
    with GrantServer(tmp_path_factory.mktemp("grants")) as server:
        yield server


@pytest.fixture(scope="session")
def dead_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        yield listener.getsockname()[1]


def _token(server: GrantServer, dead_port: int, wanted: dict[str, Any]) -> str:
    """The text of a token that a scenario asks for."""
    if "text" in wanted:
        return str(wanted["text"])
    ports = {"dead": dead_port, "refused": 1}
    other = "" if wanted.get("ca") != "other" else GrantServer.other_authority()
    return server.token(
        wanted.get("allowed", 1),
        code=wanted.get("code", ""),
        port=ports.get(wanted.get("port", ""), 0),
        ca=other,
    )


@pytest.fixture(scope="session")
def play(grant_server: GrantServer, dead_port: int) -> Callable[[Row], list[Seen]]:
    """Plays the scenario of a row once, and remembers what was seen."""
    played: dict[tuple[str, str, str], list[Seen]] = {}

    def seen(row: Row) -> list[Seen]:
        key = (row.fixture, row.scenario, row.platform)
        if key not in played:
            wanted = scenarios(row.fixture)[row.scenario].get("tokens") or {}
            tokens = {name: _token(grant_server, dead_port, one) for name, one in wanted.items()}
            # Not below pytest's own directory, which other users may not enter.
            with tempfile.TemporaryDirectory(prefix="skupper-rows-") as folder:
                played[key] = rows.play(*key, Path(folder), tokens)
        return played[key]

    return seen
