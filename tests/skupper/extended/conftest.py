"""The fixtures of the tests of slow habits: the controller is not told to be fast."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.skupper.on_kubernetes.cluster import Cluster
from tests.skupper.on_kubernetes.conftest import (
    agent,
    api,
    cluster,
    crds,
    empty,
    private,
    public,
    watching,
)
from tests.standins.skupper.controller import Controller

__all__ = ["agent", "api", "cluster", "crds", "empty", "private", "public"]


@pytest.fixture
def controller(empty: Cluster) -> Iterator[Controller | None]:
    """Watches the namespace and the one on the far side, with all its habits."""
    yield from watching(empty, fast=False)
