"""Fixtures for tests that need a Kubernetes API: a cluster of ours, or the one that TEST_KUBECONFIG names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster, given, started
from tests.cluster.control_plane import ControlPlane
from tests.cluster.objects import deployment, service


@dataclass
class Api:
    """A Kubernetes API. `plane` is None for a cluster that is not ours: then there is no audit log."""

    kubeconfig: Path
    plane: ControlPlane | None


def serve(controllers: bool) -> Iterator[Api]:
    """Yield the API that TEST_KUBECONFIG names, or else one of ours, which ends afterwards.

    :param controllers: whether ours has Kubernetes' controllers; without them it is there sooner.
    """
    given = os.environ.get("TEST_KUBECONFIG")
    if given:
        yield Api(Path(given), None)
        return
    plane = ControlPlane(controllers=controllers).start()
    try:
        yield Api(plane.kubeconfig, plane)
    finally:
        plane.stop()


@pytest.fixture(scope="session")
def api() -> Iterator[Api]:
    """The API server of this test session."""
    yield from serve(controllers=True)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A whole Kubernetes for this test session: two nodes, names, figures, policies, Ingress."""
    there = given()
    if there:
        yield there
        return
    with started(tmp_path_factory.mktemp("cluster")) as ours:
        yield ours


@pytest.fixture(scope="module")
def web(cluster: Cluster) -> Iterator[str]:
    """A namespace with two servers behind the Service `web`, and a pod `asker` that asks."""
    with cluster.namespace() as namespace:
        cluster.apply(deployment(namespace, "web", cluster.probe_image, 2), service(namespace, "web", "web"))
        cluster.available(namespace, "web")
        cluster.start_probe(namespace, "asker")
        yield namespace
