"""A site of a cluster dials one of a host, which has the model; the link is issued anew."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import LINK, SECRET

from tests.ports import free_port
from tests.skupper.modules.host import NAMESPACES, ROOT, Host
from tests.skupper.on_kubernetes.cluster import Cluster
from tests.skupper.on_kubernetes.conftest import controller
from tests.skupper.on_kubernetes.joined import listener, server
from tests.skupper.role.sites import Sites
from tests.skupper.traffic.servers import Requests, Server, greeting, until

__all__ = ["controller", "server"]


@pytest.fixture
def sites(cluster: Cluster, server: Server, tmp_path: Path) -> Iterator[Sites]:
    """A site of a cluster with a listener, and one of a host with the connector, which can be dialled."""
    host = Host(tmp_path)
    kubeconfig = shutil.copy(cluster.kubeconfig, tmp_path / "kubeconfig")
    places: dict[str, dict[str, Any]] = {
        "front": {
            "skupper_site_namespace": cluster.namespace,
            "skupper_site_kubernetes": {"kubeconfig": str(kubeconfig)},
            "skupper_site_listeners": [{"name": "model", "port": 8000}],
            "skupper_site_links": [{"to": "home", "via": "link"}],
        },
        "home": {
            "skupper_site_platform": "linux",
            "skupper_site_namespace": "home",
            "skupper_site_link_access": "default",
            "skupper_site_router_access": {
                "bind_host": "127.0.0.1",
                "inter_router_port": free_port(),
                "edge_port": free_port(),
                "subject_alternative_names": ["127.0.0.1"],
            },
            "skupper_site_connectors": [
                {"name": "model", "port": server.port, "connector_host": "127.0.0.1"}
            ],
        },
    }
    yield Sites(host, places)
    host.stop()


def key(cluster: Cluster, name: str) -> str:
    """The key of the one link that there is, by its name."""
    found = [one["spec"]["tlsCredentials"] for one in cluster.client.all(LINK, cluster.namespace)]
    assert found == [name]
    return str(cluster.get(SECRET, name)["data"]["tls.key"])


def test_a_cluster_dials_a_host(sites: Sites, cluster: Cluster) -> None:
    host = sites.host

    def mark() -> str:
        return cluster.fingerprint() + host.fingerprint()

    before = mark()
    token = [{"to": "home", "via": "token"}]
    refused = sites.role("--limit", "front", front={"skupper_site_links": token})
    refused.refused("on linux, where no tokens are issued. Remedy:")
    predicted = sites.role("--check", "--diff").fine()
    assert mark() == before, "check mode wrote something"
    first = sites.role("-vvvv", "--diff").fine()
    assert first.count("changed") == predicted.count("changed")
    old = key(cluster, "front-to-home")
    assert old not in first.said
    address = listener(cluster)
    until(lambda: greeting(address) == "private", "the model of the host answers on the cluster")
    before = mark()
    assert sites.role().fine().changed == 0 and mark() == before

    # A running link lives on without its key, until the router starts anew.
    cluster.client.delete(SECRET, cluster.namespace, "front-to-home")
    assert sites.role().fine().count("changed") == {"front": 1, "home": 0}
    assert key(cluster, "front-to-home") == old

    predicted = sites.playbook(str(ROOT / "playbooks/rotate.yml"), "--check").fine()
    with Requests(address, "private") as requests:
        rotated = sites.playbook(str(ROOT / "playbooks/rotate.yml"), "-vvvv").fine()
    until(lambda: greeting(address) == "private", "it answers by the new link")
    print(f"{requests.answered.count(False)} of {len(requests.answered)} lost, in gaps {requests.gaps}")
    # The host's only router makes new keys by a reload; the cluster's changes links while it runs.
    *single, _reload = sorted(requests.gaps)
    assert set(single) <= {1} and len(single) <= 1, requests.gaps
    assert rotated.count("changed") == predicted.count("changed")
    new = key(cluster, "front-to-home-r2")
    assert new != old and cluster.client.get(SECRET, cluster.namespace, "front-to-home") is None
    assert old not in rotated.said and new not in rotated.said
    assert sites.role().fine().changed == 0

    sites.role(**{name: {"skupper_site_state": "absent"} for name in sites.places}).fine()
    assert cluster.client.all(LINK, cluster.namespace) == []
    assert host.run("ls", str(NAMESPACES)).stdout == ""
