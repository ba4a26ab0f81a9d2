"""The chatbot on a Kubernetes API: fixtures."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.client import Client, connected

from tests.cluster.fixtures import Api, serve
from tests.public_chatbot.place import Place, environ
from tests.skupper.modules.agent_client import Agent


@pytest.fixture(scope="session")
def api() -> Iterator[Api]:
    """The API server of these tests, with Kubernetes' controllers: namespaces have to go."""
    yield from serve(controllers=True)


@pytest.fixture(scope="session")
def agent() -> Iterator[Agent]:
    """Runs modules on this host."""
    one = Agent(Agent.command(), environ())
    yield one
    one.stop()


@pytest.fixture(scope="session")
def place_client(api: Api) -> Client:
    """For what belongs to no namespace."""
    return connected(Client, {"kubeconfig": str(api.kubeconfig)})


@pytest.fixture
def place(api: Api, agent: Agent) -> Iterator[Place]:
    """A namespace's name that is free; what is there afterwards is removed."""
    one = Place(api, agent)
    yield one
    one.clear()
