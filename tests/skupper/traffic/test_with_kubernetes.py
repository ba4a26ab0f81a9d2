"""Bytes from a listener on Kubernetes to a site on a host, and between two sites on Kubernetes."""

from __future__ import annotations

import os
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import (
    CONNECTOR,
    LISTENER,
    SITE,
)

from tests.skupper.on_kubernetes.cluster import Cluster
from tests.skupper.on_kubernetes.conftest import REAL
from tests.skupper.traffic.servers import HOST, Server, greeting, stays_silent, until
from tests.skupper.traffic.sites import Sites
from tests.standins.skupper.address import address_of


def do(cluster: Cluster, module: str, **options: Any) -> Any:
    """Run a module that must not fail."""
    done = cluster.module(f"skupper_{module}", **options)
    assert not done.get("failed"), done
    return done


def listen(public: Cluster) -> tuple[str, int]:
    """A listener, and its address."""
    do(public, "listener", name="model", port=8000)
    path = f"/api/v1/namespaces/{public.namespace}/services/model"
    return address_of(public.client.request("GET", path))


def condition(cluster: Cluster, kind: Any, name: str, type_: str) -> str:
    """What a condition says, nothing when there is none."""
    found = (cluster.get(kind, name).get("status") or {}).get("conditions") or []
    return next((str(one["message"]) for one in found if one["type"] == type_), "")


def test_a_site_on_a_host_serves_a_listener_on_kubernetes(
    public: Cluster, sites: Sites, server: Server
) -> None:
    if bool(REAL) != bool(os.environ.get("SKUPPER_TEST_ROUTER")):
        pytest.skip("a real router and a stand-in cannot be linked: name a cluster and a router, or neither")
    address = listen(public)
    assert stays_silent(address, 1)
    token = do(public, "token", name="private", return_token=True)["token"]
    sites.do("private", "site", name="private")
    sites.do("private", "link", name="to-public", token=token)
    sites.private("private", server)
    until(lambda: greeting(address) == "private", "the host's site answers")

    # What the site on the host does not know of itself, the other side does.
    uid = sites.do("private", "system")["system"]["uid"]

    def record() -> dict[str, Any]:
        network = (public.get(SITE, "pub").get("status") or {}).get("network") or []
        return next((one for one in network if one["id"] == uid), {})

    until(lambda: bool(record().get("links")) and bool(record().get("services")), "the network is told")
    assert record()["platform"] == "linux" and record()["services"][0]["connectors"] == ["127.0.0.1"]
    link = record()["links"][0]
    assert (link["name"], link["operational"], link["remoteSiteName"]) == ("to-public", True, "pub")
    until(lambda: condition(public, LISTENER, "model", "Matched") == "OK", "the listener is matched")

    here, there = do(public, "info"), sites.do("private", "info")
    assert set(here) == set(there) and set(here["sites"][0]) == set(there["sites"][0])

    sites.cut("private")
    until(lambda: condition(public, LISTENER, "model", "Matched") == "No matching connectors", "it is not")
    assert stays_silent(address, 1)
    sites.restore("private")
    until(lambda: greeting(address) == "private", "it answers again")

    sites.do("private", "link", name="to-public", state="absent")
    sites.start("private")
    until(lambda: greeting(address) == "", "nobody is linked any more")
    assert stays_silent(address, 1)


def test_two_sites_on_kubernetes(public: Cluster, private: Cluster, server: Server) -> None:
    address = listen(public)
    do(private, "connector", name="model", port=server.port, connector_host=HOST)
    assert stays_silent(address, 1)
    token = do(public, "token", name="private", return_token=True)["token"]
    link = do(private, "link", token=token)["links"][0]
    assert link["operational"] is True
    until(lambda: greeting(address) == "private", "the other site answers")
    until(lambda: condition(private, CONNECTOR, "model", "Matched") == "OK", "the connector is matched")

    # Skupper moves to another key at once.
    do(private, "connector", name="model", port=server.port, connector_host=HOST, routing_key="other")
    until(lambda: greeting(address) == "", "nobody has the routing key")
    do(public, "listener", name="model", port=8000, routing_key="other")
    until(lambda: greeting(address) == "private", "the other site answers again")
    do(private, "link", name=link["name"], state="absent")
    until(lambda: greeting(address) == "", "nobody is linked any more")
