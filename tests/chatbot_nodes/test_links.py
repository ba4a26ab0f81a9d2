"""Who reaches whom: sites the router, the chatbot alone the listener, visitors' proxy alone the chatbot."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.chatbot_nodes.deployed import HOST, PATH, Deployed, Model, certificate
from tests.cluster.cluster import Cluster
from tests.cluster.ingress import NAME as PROXYS_NAMESPACE
from tests.cluster.objects import service
from tests.public_chatbot.verification import lines, verify

#: The labels of Skupper's router as recorded, a port of its choice for the listener, and those of links.
ROUTER = {"application": "skupper-router", "skupper.io/component": "router"}
LISTENER = 1026
LINKS = (55671, 45671)
#: Where the gateway of a private host would be, were it open.
GATEWAY, FIGURES = 18773, 18774
SITE: dict[str, Any] = {
    "public_chatbot_model_url": "",
    "public_chatbot_model_to": [],
    "public_chatbot_exposure": "none",
    "public_chatbot_replicas": 1,
}


@dataclass
class Site:
    """The chatbot of a site whose router is a probe."""

    chatbot: Deployed
    router: str


@pytest.fixture(scope="module")
def site(cluster: Cluster, model: Model) -> Iterator[Site]:
    """The chatbot's model is behind a listener."""
    one = Deployed(cluster, model)
    one.play(**SITE)
    router = cluster.start_probe(one.namespace, "router", ROUTER, ports=(LISTENER, *LINKS))
    port = {"name": "model", "port": 8000, "targetPort": LISTENER}
    cluster.apply(service(one.namespace, "instructlab", "", selector=ROUTER, ports=[port]))
    yield Site(one, router)
    one.remove()


def reaches(cluster: Cluster, namespace: str, pod: str, address: str, port: int) -> bool:
    """Whether a probe gets through."""
    return cluster.run(namespace, pod, ["tcp", "-t", "2", f"{address}:{port}"]).status == 0


def they_reach(
    cluster: Cluster, probes: list[tuple[str, str]], address: str, port: int, wanted: list[bool]
) -> bool:
    """Whether each probe gets through, or not, as it should."""
    return [reaches(cluster, *one, address, port) for one in probes] == wanted


def test_sites_link_while_the_listener_is_the_chatbots_alone(cluster: Cluster, site: Site) -> None:
    namespace, router = site.chatbot.namespace, site.router
    cluster.start_probe(namespace, "neighbour")
    with cluster.namespace() as elsewhere:
        cluster.start_probe(elsewhere, "stranger")
        others = [(namespace, "neighbour"), (elsewhere, "stranger")]
        cluster.until(
            lambda: not any(reaches(cluster, *one, router, LISTENER) for one in others),
            "the listener is closed",
        )
        for one in others:
            for port in LINKS:
                assert reaches(cluster, *one, router, port), (
                    f"{one[1]} does not reach the port {port} of links"
                )
        (pod,) = site.chatbot.pods()
        ask = f"import socket; socket.create_connection(('{router}', {LISTENER}), 5); print('reached')"
        assert site.chatbot.in_pod(pod.metadata.name, ask).strip() == "reached"


def test_the_verification_finds_a_private_host_that_is_open(
    cluster: Cluster, site: Site, tmp_path: Path
) -> None:
    host = cluster.own.host
    public = {
        **SITE,
        "public_chatbot_kubernetes": {"kubeconfig": str(cluster.kubeconfig)},
        "public_chatbot_namespace": site.chatbot.namespace,
        "public_chatbot_image_source": "loaded",
    }
    private = {
        "ansible_host": host,
        "private_model_gateway_port": GATEWAY,
        "private_model_gateway_metrics_port": FIGURES,
    }

    with socket.create_server((host, GATEWAY)):
        found = lines(verify(tmp_path, public, private, verify_test_pod=True)[1])
    good, line = found["private host from another pod"]
    assert not good and f"FAILED: another pod reaches the private side at {host}:{GATEWAY}" in line
    # It is not the chatbot's way, whose own policy keeps it in; nor is the listener another pod's.
    for name, words in (
        (
            "way to the private host",
            "the chatbot's pod reaches the model's listener, and the private host not",
        ),
        ("listener from another pod", "another pod does not reach the listener"),
    ):
        good, line = found[name]
        assert good and words in line, line


def test_visitors_come_by_their_proxy_alone_and_metrics_go_to_the_monitoring(
    cluster: Cluster, chatbot: Deployed
) -> None:
    with (
        cluster.namespace() as elsewhere,
        cluster.namespace(name="monitoring") as monitoring,
        httpx.Client(verify=certificate(cluster, chatbot.namespace), trust_env=False) as visitor,
    ):
        spaces = (elsewhere, chatbot.namespace, monitoring, PROXYS_NAMESPACE)
        probes = [(space, "stranger") for space in spaces]
        for one in probes:
            cluster.start_probe(*one)
        try:
            address = chatbot.pods()[0].status.pod_ip
            # The proxy comes to the page's door alone, the monitoring to that of the metrics alone.
            # Those who enforce policies hear of a new pod a moment after it is ready.
            for port, wanted in ((5000, [False, False, False, True]), (9464, [False, False, True, False])):
                right = partial(they_reach, cluster, probes, address, port, wanted)
                cluster.until(right, f"the right ones reach port {port}", 15)
        finally:
            for namespace, name in probes:
                cluster.core.delete_namespaced_pod(name, namespace, grace_period_seconds=0)
        answer = visitor.get(
            f"https://{cluster.own.ingress}{PATH}/",
            headers={"Host": HOST},
            extensions={"sni_hostname": HOST},
        )
        assert answer.status_code == 200
