"""NetworkPolicies are enforced on the cluster of the tests, and it is the stand-in that does."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.objects import policy


@pytest.fixture
def guarded(cluster: Cluster) -> Iterator[str]:
    """A namespace with a server on each node, a friend and a stranger; no policy yet."""
    first, second = cluster.own.nodes
    with cluster.namespace() as namespace:
        for name, node in (("near", first), ("far", second)):
            cluster.start_probe(namespace, name, {"app": "server"}, node, (8080, 8081))
        cluster.start_probe(namespace, "friend", {"role": "friend"}, first)
        cluster.start_probe(namespace, "stranger", node=first)
        yield namespace


class Reach:
    """Who gets through to whom in a namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster, self.namespace = cluster, namespace

    def address(self, pod: str) -> str:
        return str(self.cluster.core.read_namespaced_pod(pod, self.namespace).status.pod_ip)

    def works(self, source: str, pod: str, port: int = 8080) -> bool:
        arguments = ["tcp", "-t", "1", f"{self.address(pod)}:{port}"]
        return self.cluster.run(self.namespace, source, arguments).status == 0

    def becomes(self, wanted: bool, source: str, pod: str) -> None:
        what = f"{source} {'reaches' if wanted else 'does not reach'} {pod}"
        self.cluster.until(lambda: self.works(source, pod) == wanted, what, 15)

    def names(self, source: str) -> bool:
        return self.cluster.run(self.namespace, source, ["dns", "-t", "2", "kubernetes.default"]).status == 0


def test_policies_hold_because_of_the_engine(cluster: Cluster, guarded: str) -> None:
    reach = Reach(cluster, guarded)
    engine = cluster.own.policies
    os.kill(engine, signal.SIGSTOP)
    try:
        cluster.apply(policy(guarded, "nobody", policyTypes=["Ingress"]))
        time.sleep(2)
        assert reach.works("friend", "near") and reach.works("friend", "far")
    finally:
        os.kill(engine, signal.SIGCONT)
    reach.becomes(False, "friend", "near")
    reach.becomes(False, "friend", "far")
    # The kubelet's probes come from the node and still pass.
    time.sleep(4)
    conditions = cluster.core.read_namespaced_pod("near", guarded).status.conditions
    assert [one.status for one in conditions if one.type == "Ready"] == ["True"]


def test_policies_let_labels_and_named_ports_in(cluster: Cluster, guarded: str) -> None:
    reach = Reach(cluster, guarded)
    server = {"matchLabels": {"app": "server"}}
    friends = [{"podSelector": {"matchLabels": {"role": "friend"}}}]
    assert all(reach.works("friend", pod, 8081) for pod in ("near", "far"))
    rule = {"from": friends, "ports": [{"port": "http"}]}
    cluster.apply(policy(guarded, "friends", podSelector=server, policyTypes=["Ingress"], ingress=[rule]))
    for pod in ("near", "far"):
        reach.becomes(False, "stranger", pod)
        assert reach.works("friend", pod)
        assert not reach.works("friend", pod, 8081)
    assert reach.works("friend", "stranger")
    with cluster.namespace() as other:
        cluster.start_probe(other, "asker", {"role": "friend"})
        arguments = ["tcp", "-t", "1", f"{reach.address('near')}:8080"]
        assert cluster.run(other, "asker", arguments).status == 1
        across = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": other}}}]
        cluster.apply(policy(guarded, "others", policyTypes=["Ingress"], ingress=[{"from": across}]))
        cluster.until(
            lambda: cluster.run(other, "asker", arguments).status == 0, "the other namespace is let in", 15
        )


def test_policies_hold_on_the_way_out(cluster: Cluster, guarded: str) -> None:
    reach = Reach(cluster, guarded)
    assert reach.names("friend")
    friend = {"podSelector": {"matchLabels": {"role": "friend"}}, "policyTypes": ["Egress"]}
    to_near = {"to": [{"ipBlock": {"cidr": f"{reach.address('near')}/32"}}], "ports": [{"port": "http"}]}
    cluster.apply(policy(guarded, "out", **friend, egress=[]))
    reach.becomes(False, "friend", "near")
    assert not reach.names("friend")
    system = {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}
    names = {"namespaceSelector": system, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}
    ports = [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
    dns = {"to": [names], "ports": ports}
    servers = {"to": [{"podSelector": {"matchLabels": {"app": "server"}}}], "ports": [{"port": "http"}]}
    cluster.apply(policy(guarded, "out", **friend, egress=[dns, servers]))
    reach.becomes(True, "friend", "near")
    assert reach.works("friend", "far") and reach.names("friend")
    assert not reach.works("friend", "stranger")
    assert reach.works("stranger", "friend")
    to_near["ports"] = [{"port": 8080}]
    cluster.apply(policy(guarded, "out", **friend, egress=[to_near]))
    reach.becomes(False, "friend", "far")
    assert reach.works("friend", "near") and not reach.names("friend")
