"""Who reaches the router's pods: everybody the ports of links, the chatbot alone the model's listener."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chatbot_nodes.deployed import Deployed, Model
from tests.cluster.cluster import Cluster

#: The labels of Skupper's router as recorded, a port of its choice for the listener, and those of links.
ROUTER = {"application": "skupper-router", "skupper.io/component": "router"}
LISTENER = 1026
LINKS = (55671, 45671)


@pytest.fixture
def chatbot(cluster: Cluster, model: Model) -> Iterator[Deployed]:
    """The chatbot of a site: its model is behind a listener."""
    one = Deployed(cluster, model)
    one.play(
        public_chatbot_model_url="",
        public_chatbot_model_to=[],
        public_chatbot_exposure="none",
        public_chatbot_replicas=1,
    )
    yield one
    one.remove()


def test_sites_link_while_the_listener_is_the_chatbots_alone(cluster: Cluster, chatbot: Deployed) -> None:
    router = cluster.start_probe(chatbot.namespace, "router", ROUTER, ports=(LISTENER, *LINKS))
    cluster.start_probe(chatbot.namespace, "neighbour")
    with cluster.namespace() as elsewhere:
        cluster.start_probe(elsewhere, "stranger")

        def reaches(namespace: str, pod: str, port: int) -> bool:
            return cluster.run(namespace, pod, ["tcp", "-t", "2", f"{router}:{port}"]).status == 0

        others = [(chatbot.namespace, "neighbour"), (elsewhere, "stranger")]
        cluster.until(lambda: not any(reaches(*one, LISTENER) for one in others), "the listener is closed")
        for namespace, pod in others:
            for port in LINKS:
                assert reaches(namespace, pod, port), f"{pod} does not reach the port {port} of links"
        (pod,) = chatbot.pods()
        ask = f"import socket; socket.create_connection(('{router}', {LISTENER}), 5); print('reached')"
        assert chatbot.in_pod(pod.metadata.name, ask).strip() == "reached"
