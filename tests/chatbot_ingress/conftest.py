"""The chatbot behind controllers that others maintain: fixtures."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chatbot_nodes.conftest import chatbot, crowd, model
from tests.cluster.cluster import Cluster, started
from tests.public_chatbot.conftest import agent, api, place, place_client

__all__ = ["agent", "api", "chatbot", "crowd", "model", "place", "place_client"]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A whole Kubernetes, always of our own, of which Traefik serves the Ingress objects."""
    with started(tmp_path_factory.mktemp("cluster"), "--traefik") as ours:
        yield ours
