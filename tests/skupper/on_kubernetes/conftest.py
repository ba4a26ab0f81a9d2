"""The fixtures of the tests on Kubernetes.

With SKUPPER_TEST_KUBECONFIG they use that cluster, its controller and its routers; without it an API server
of ours and the stand-ins.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.fixtures import Api, serve
from tests.skupper.modules.agent_client import Agent
from tests.skupper.on_kubernetes.cluster import Cluster, environ, install_crds
from tests.standins.skupper.controller import Controller, Options

REAL = os.environ.get("SKUPPER_TEST_KUBECONFIG")


@pytest.fixture(scope="session")
def api() -> Iterator[Api]:
    """The API server of these tests, which need no controllers of Kubernetes."""
    if REAL:
        yield Api(Path(REAL), None)
    else:
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


def new_namespace(api: Api, agent: Agent, name: str) -> Iterator[Cluster]:
    """A namespace until the end of a test."""
    one = Cluster(api, agent, name)
    one.client.request("POST", "/api/v1/namespaces", body={"metadata": {"name": name}})
    yield one
    one.client.request("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture
def empty(api: Api, agent: Agent, crds: None) -> Iterator[Cluster]:
    """A namespace that no controller watches, unless the cluster has one."""
    yield from new_namespace(api, agent, f"t{time.time_ns()}")


@pytest.fixture
def controller(empty: Cluster) -> Iterator[Controller | None]:
    """Watches the namespace and the one on the far side; None where the cluster has the real one."""
    yield from watching(empty, fast=True)


def watching(near: Cluster, fast: bool) -> Iterator[Controller | None]:
    """The stand-in of the controller while a test runs, its waits shortened where `fast`."""
    if REAL:
        yield None
        return
    namespaces = (near.namespace, far_name(near))
    with Controller(near.api.kubeconfig, Options(fast=fast, namespaces=namespaces, collect=True)) as one:
        yield one


def far_name(near: Cluster) -> str:
    """The namespace on the far side of another."""
    return f"{near.namespace}-far"


@pytest.fixture
def cluster(empty: Cluster, controller: Controller | None) -> Cluster:
    """A namespace that the controller watches."""
    return empty


@pytest.fixture
def site(cluster: Cluster) -> Cluster:
    """The same with a site."""
    cluster.module("skupper_site", name="pub")
    return cluster


@pytest.fixture
def public(cluster: Cluster) -> Cluster:
    """A namespace with a site that can be linked to."""
    cluster.module("skupper_site", name="pub", link_access="default")
    return cluster


@pytest.fixture
def private(public: Cluster) -> Iterator[Cluster]:
    """Another namespace with a site that nobody can link to."""
    for one in new_namespace(public.api, public.agent, far_name(public)):
        one.module("skupper_site", name="priv")
        yield one
