"""Fixtures for tests that need a Kubernetes API: a cluster of ours, or the one that TEST_KUBECONFIG names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.control_plane import ControlPlane


@dataclass
class Api:
    """A Kubernetes API. `plane` is None for a cluster that is not ours: then there is no audit log."""

    kubeconfig: Path
    plane: ControlPlane | None


@pytest.fixture(scope="session")
def api() -> Iterator[Api]:
    """The API server of this test session."""
    given = os.environ.get("TEST_KUBECONFIG")
    if given:
        yield Api(Path(given), None)
        return
    plane = ControlPlane(controllers=True).start()
    try:
        yield Api(plane.kubeconfig, plane)
    finally:
        plane.stop()
