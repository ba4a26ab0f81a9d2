"""Sites of clusters alone: one redeems the other's token; a namespace that the role made goes with it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import (
    ACCESS_GRANT,
    ACCESS_TOKEN,
    LINK,
    SITE,
)

from tests.skupper.modules.host import ROOT, Host
from tests.skupper.on_kubernetes.cluster import Cluster, finalised
from tests.skupper.on_kubernetes.conftest import controller, far_name
from tests.skupper.on_kubernetes.joined import listener
from tests.skupper.role.sites import Sites
from tests.skupper.traffic.servers import HOST, Requests, Server, greeting, until

__all__ = ["controller"]


@pytest.fixture
def far(cluster: Cluster) -> Iterator[Cluster]:
    """A namespace that is not there, and that the controller watches."""
    one = Cluster(cluster.api, cluster.agent, far_name(cluster))
    with finalised(one):
        yield one


@pytest.fixture
def sites(cluster: Cluster, far: Cluster, tmp_path: Path) -> Iterator[Sites]:
    """A site in a namespace of somebody else's, and one in a namespace that is not there, which dials it."""
    host = Host(tmp_path)
    kubeconfig = shutil.copy(cluster.kubeconfig, tmp_path / "kubeconfig")
    places: dict[str, dict[str, Any]] = {
        "pub": {"skupper_site_namespace": cluster.namespace, "skupper_site_link_access": "default"},
        "priv": {
            "skupper_site_namespace": far.namespace,
            "skupper_site_links": [{"to": "pub"}],
            "skupper_site_connectors": [{"name": "model", "port": 8000, "selector": "app=model"}],
        },
    }
    common = {"skupper_site_kubernetes": {"kubeconfig": str(kubeconfig)}}
    yield Sites(host, {name: {**common, **one} for name, one in places.items()})
    host.stop()


def test_a_cluster_joins_another_and_takes_its_namespace_along(
    sites: Sites, cluster: Cluster, far: Cluster
) -> None:
    before = cluster.writes()
    predicted = sites.role("--check", "--diff").fine()
    assert cluster.writes() == before, "check mode wrote something"
    first = sites.role("--diff").fine()
    # Namespace, site, connector, and the link by a token that is issued on the other side.
    assert first.count("changed") == predicted.count("changed") == {"pub": 1, "priv": 5}
    assert far.labels()["app.kubernetes.io/managed-by"] == "private_ai.chatbot"
    assert "app.kubernetes.io/managed-by" not in cluster.labels()
    assert [one["metadata"]["name"] for one in far.client.all(LINK, far.namespace)] == ["priv-to-pub"]
    assert far.client.all(ACCESS_TOKEN, far.namespace) == []
    assert cluster.client.all(ACCESS_GRANT, cluster.namespace) == []
    before = cluster.writes()
    assert sites.role().fine().changed == 0 and cluster.writes() == before

    # Something of others stays, with the namespace.
    path = f"/api/v1/namespaces/{far.namespace}/configmaps"
    far.client.request("POST", path, body={"metadata": {"name": "theirs"}})
    absent = {name: {"skupper_site_state": "absent"} for name in sites.places}
    held = sites.role(**absent).fine()
    assert f"Namespace {far.namespace} was made by this role and stays" in held.said
    assert "ConfigMap/theirs" in held.said
    for one in (cluster, far):
        assert one.client.all(SITE, one.namespace) == []
    far.client.request("DELETE", f"{path}/theirs")
    assert sites.role(**absent).fine().count("changed") == {"pub": 0, "priv": 1}
    assert far.labels() == {} and cluster.labels()


def test_links_between_clusters_are_issued_anew(sites: Sites, cluster: Cluster, far: Cluster) -> None:
    pub, priv = sites.places["pub"], sites.places["priv"]
    with Server("private") as server:
        priv["skupper_site_connectors"] = [{"name": "model", "port": server.port, "connector_host": HOST}]
        sites.role().fine()
        # A tag does its part, and no more.
        pub["skupper_site_listeners"] = [{"name": "model", "port": 8000}]
        pub["skupper_site_labels"] = {"example.com/team": "one"}
        before = len(cluster.writes())
        assert sites.role("--tags", "expose").fine().count("changed") == {"pub": 1, "priv": 0}
        written = cluster.writes()[before:]
        assert written and all("/listeners/model?" in one for one in written), written
        address = listener(cluster)
        until(lambda: greeting(address) == "private", "the model answers on the public side")

        # By a token, then generated: the routers take up and leave links while they run.
        for via, name in (("auto", "priv-to-pub-r2"), ("link", "priv-to-pub-r3")):
            priv["skupper_site_links"] = [{"to": "pub", "via": via}]
            with Requests(address, "private") as requests:
                rotated = sites.playbook(str(ROOT / "playbooks/rotate.yml")).fine()
            until(lambda: greeting(address) == "private", "it answers by the new link")
            lost = requests.answered.count(False)
            print(f"{lost} of {len(requests.answered)} lost, in gaps {requests.gaps}")
            # Nothing, unless it was on its way when the old link went.
            assert lost <= 1, requests.gaps
            order = [
                rotated.said.index(words) for words in ("Both sides agree on the new one", "The old one goes")
            ]
            assert order == sorted(order)
            assert [one["metadata"]["name"] for one in far.client.all(LINK, far.namespace)] == [name]
