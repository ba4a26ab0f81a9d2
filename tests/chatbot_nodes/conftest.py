"""The chatbot on real nodes: fixtures. The role deploys it once for the tests of streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.chatbot_nodes.crowd import Crowd
from tests.chatbot_nodes.deployed import BEHIND_INGRESS, IMAGE, Deployed, Model, certificate
from tests.cluster.cluster import Cluster
from tests.cluster.fixtures import cluster

__all__ = ["cluster"]


@pytest.fixture(scope="session")
def model(cluster: Cluster) -> Iterator[Model]:
    """A model that the pods reach."""
    cluster.load_image(IMAGE)
    one = Model(cluster.own.host)
    cluster.until(lambda: one.stats, "the stand-in starts")
    yield one
    one.stop()


@pytest.fixture(scope="session")
def chatbot(cluster: Cluster, model: Model) -> Iterator[Deployed]:
    """Two replicas behind an Ingress with TLS, a host and a sub-path."""
    one = Deployed(cluster, model)
    one.play(**BEHIND_INGRESS)
    yield one
    one.remove()


@pytest.fixture
def crowd(cluster: Cluster, chatbot: Deployed) -> Iterator[Callable[..., Crowd]]:
    """Makes crowds; they have left at the end."""
    made: list[Crowd] = []
    trust = certificate(cluster, chatbot.namespace)

    def make(addresses: list[str] | None = None) -> Crowd:
        made.append(Crowd(cluster.own.ingress, trust, addresses or cluster.own.visitors))
        return made[-1]

    yield make
    for one in made:
        one.end()
