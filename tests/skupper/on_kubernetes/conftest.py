"""The fixtures of the modules' tests on Kubernetes."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.cluster.fixtures import Api, serve
from tests.skupper.modules.agent_client import Agent
from tests.skupper.on_kubernetes.cluster import Cluster, environ, install_crds
from tests.skupper.on_kubernetes.controller import Controller


@pytest.fixture(scope="session")
def api() -> Iterator[Api]:
    """The API server of these tests, which need no controllers of Kubernetes."""
    yield from serve(controllers=False)


@pytest.fixture(scope="session")
def agent() -> Iterator[Agent]:
    """Runs modules on this host."""
    one = Agent(Agent.command(), environ())
    yield one
    one.stop()


@pytest.fixture(scope="session")
def crds(api: Api, agent: Agent) -> None:
    """The API knows Skupper's kinds."""
    install_crds(Cluster(api, agent, "default").client)


@pytest.fixture
def empty(api: Api, agent: Agent, crds: None) -> Iterator[Cluster]:
    """A namespace that no controller watches."""
    one = Cluster(api, agent, f"t{time.time_ns()}")
    one.client.request("POST", "/api/v1/namespaces", body={"metadata": {"name": one.namespace}})
    yield one
    one.client.request("DELETE", f"/api/v1/namespaces/{one.namespace}")


@pytest.fixture
def controller(empty: Cluster) -> Iterator[Controller]:
    """Watches the namespace."""
    one = Controller(empty.client, [empty.namespace])
    yield one
    one.stop()


@pytest.fixture
def cluster(empty: Cluster, controller: Controller) -> Cluster:
    """A namespace that the controller watches."""
    return empty


@pytest.fixture
def site(cluster: Cluster) -> Cluster:
    """The same with a site."""
    cluster.module("skupper_site", name="pub")
    return cluster
