"""The fixtures of the tests of traffic."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.skupper.modules.host import Host
from tests.skupper.on_kubernetes.conftest import (
    agent,
    api,
    cluster,
    controller,
    crds,
    empty,
    private,
    public,
)
from tests.skupper.traffic.servers import Server
from tests.skupper.traffic.sites import Sites

__all__ = ["agent", "api", "cluster", "controller", "crds", "empty", "private", "public"]


@pytest.fixture
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """A host without a site."""
    host = Host(tmp_path_factory.mktemp("host"))
    yield Sites(host)
    host.stop()


@pytest.fixture
def server() -> Iterator[Server]:
    """What is behind a connector."""
    with Server("private") as one:
        yield one
