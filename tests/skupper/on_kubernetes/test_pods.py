"""Routers as pods: what the stand-in controller makes of a Site where there are nodes for it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import LISTENER, SITE, Kind

from tests.skupper.on_kubernetes.cluster import Cluster
from tests.skupper.on_kubernetes.conftest import REAL
from tests.skupper.on_kubernetes.test_controller import SERVICES, becomes, listener, said
from tests.skupper.traffic.servers import until
from tests.standins.skupper.controller import Controller, Options

DEPLOYMENTS = Kind("Deployment", "", "deployments", api_version="apps/v1")
LABELS = {
    "application": "skupper-router",
    "skupper.io/component": "router",
    "skupper.io/group": "skupper-router",
}
MERGE = "application/merge-patch+json"


@pytest.fixture
def watched(empty: Cluster) -> Iterator[Cluster]:
    """A namespace with Pod Security `restricted`, and a controller that runs routers in pods."""
    if REAL:
        pytest.skip("these are the pods of the stand-in; the given cluster has the real ones")
    labels = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    empty.client.request("PATCH", f"/api/v1/namespaces/{empty.namespace}", body=labels, content_type=MERGE)
    options = Options(
        fast=True, namespaces=(empty.namespace,), collect=True, routers="pods", cluster_host="192.0.2.1"
    )
    with Controller(empty.api.kubeconfig, options):
        yield empty


def is_there(cluster: Cluster, service: str) -> bool:
    """Whether there is a Service of the name."""
    return cluster.client.get(SERVICES, cluster.namespace, service) is not None


def endpoints(cluster: Cluster) -> set[tuple[str, str]]:
    """Hosts and ports by which other sites link to this one."""
    found = (cluster.get(SITE, "pub").get("status") or {}).get("endpoints") or []
    return {(one["host"], one["port"]) for one in found}


def test_the_router_is_a_pod_of_the_recorded_kind(watched: Cluster) -> None:
    watched.create(SITE, "pub", {"linkAccess": "default"})
    watched.create(LISTENER, "web", listener("web"))
    becomes(watched, LISTENER, "web", "Configured", "OK")
    until(lambda: watched.client.get(DEPLOYMENTS, watched.namespace, "skupper-router") is not None, "it is")
    template = watched.get(DEPLOYMENTS, "skupper-router")["spec"]["template"]
    assert template["metadata"]["labels"] == LABELS
    assert [one["name"] for one in template["spec"]["containers"]] == ["router", "kube-adaptor"]
    for name in ("web", "skupper-router"):
        until(functools.partial(is_there, watched, name), f"Service {name} is there")
        selector = watched.get(SERVICES, name)["spec"]["selector"]
        assert selector.items() <= LABELS.items(), name
    pods = f"/api/v1/namespaces/{watched.namespace}/pods"
    pod: dict[str, Any] = {"metadata": {"name": "one", "labels": LABELS}, "spec": template["spec"]}
    pod["spec"]["automountServiceAccountToken"] = False
    watched.client.request("POST", pods, body=pod)

    # It runs when its containers do, and can be linked to when the load balancer has an address.
    assert said(watched, SITE, "pub", "Running")[2].startswith("containers with incomplete status")
    states = [
        {"name": name, "ready": True, "started": True, "image": "x", "imageID": "x", "restartCount": 0}
        for name in ("router", "kube-adaptor")
    ]
    status: dict[str, Any] = {"status": {"podIP": "10.0.0.9", "containerStatuses": states}}
    watched.client.request("PATCH", f"{pods}/one/status", body=status, content_type=MERGE)
    becomes(watched, SITE, "pub", "Running", "OK")
    assert said(watched, SITE, "pub", "Resolved")[2] == "Pending" and endpoints(watched) == set()
    path = f"/api/v1/namespaces/{watched.namespace}/services/skupper-router/status"
    address = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}}
    watched.client.request("PATCH", path, body=address, content_type=MERGE)
    becomes(watched, SITE, "pub", "Ready", "OK")
    assert endpoints(watched) == {("192.0.2.7", "55671"), ("192.0.2.7", "45671")}


def test_other_kinds_of_link_access(watched: Cluster) -> None:
    watched.create(SITE, "pub", {"linkAccess": "local"})
    inside = f"skupper-router.{watched.namespace}"
    until(lambda: endpoints(watched) == {(inside, "55671"), (inside, "45671")}, "it is known inside")
    watched.others(SITE, "pub", {"linkAccess": "nodeport"})
    until(lambda: {host for host, _port in endpoints(watched)} == {"192.0.2.1"}, "it is known at a node")
    ports = watched.get(SERVICES, "skupper-router")["spec"]["ports"]
    assert {port for _host, port in endpoints(watched)} == {str(one["nodePort"]) for one in ports}
