"""What Skupper's controller does to the objects: with the stand-in, or with the real one of a given cluster.

Each is an observation of version 2.2.1; the modules are built on it.
"""

from __future__ import annotations

from typing import Any

import yaml
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import (
    ACCESS_GRANT,
    ACCESS_TOKEN,
    CONNECTOR,
    LINK,
    LISTENER,
    ROUTER_ACCESS,
    SECRET,
    SITE,
    Kind,
)

from tests.skupper.on_kubernetes.cluster import Cluster, Object
from tests.skupper.traffic.servers import until
from tests.standins.skupper.controller import Controller, Options
from tests.standins.skupper.grant_server import GrantServer

SERVICES = Kind("Service", "", "services", api_version="v1")


def said(cluster: Cluster, kind: Kind, name: str, type_: str) -> tuple[str, str, str]:
    """Truth, reason and message of a condition; empty when there is none."""
    one = cluster.client.get(kind, cluster.namespace, name) or {}
    for each in (one.get("status") or {}).get("conditions") or []:
        if each["type"] == type_:
            return each["status"], each["reason"], each["message"]
    return "", "", ""


def becomes(cluster: Cluster, kind: Kind, name: str, type_: str, message: str) -> None:
    """Wait until a condition says something."""
    until(lambda: said(cluster, kind, name, type_)[2] == message, f"{kind.name} {name}: {message}")


def listener(host: str, port: int = 8000, key: str = "web") -> Object:
    """The spec of a listener."""
    return {"routingKey": key, "host": host, "port": port, "type": "tcp"}


def make_site(cluster: Cluster, **spec: Any) -> None:
    """A Site that is Ready."""
    cluster.create(SITE, "pub", spec)
    becomes(cluster, SITE, "pub", "Ready", "OK")


def test_a_site(cluster: Cluster) -> None:
    make_site(cluster, linkAccess="default")
    status = cluster.get(SITE, "pub")["status"]
    assert [one["type"] for one in status["conditions"]][:2] == ["Configured", "Ready"]
    assert {one["type"] for one in status["conditions"]} == {"Configured", "Ready", "Resolved", "Running"}
    assert status["controller"]["name"] == "skupper-controller"
    assert status["defaultIssuer"] == "skupper-site-ca"
    assert {(one["name"], one["group"]) for one in status["endpoints"]} == {
        ("edge", "skupper-router"),
        ("inter-router", "skupper-router"),
    }
    until(lambda: cluster.get(SITE, "pub")["status"].get("sitesInNetwork") == 1, "the network is known")
    assert cluster.get(SITE, "pub")["status"]["network"][0]["platform"] == "kubernetes"
    cluster.create(SITE, "second", {})
    message = "An active site already exists in the namespace (pub)"
    becomes(cluster, SITE, "second", "Configured", message)
    assert said(cluster, SITE, "second", "Ready") == ("False", "Error", message)
    cluster.others(SITE, "pub", {"linkAccess": "ingress-nginx"})
    becomes(cluster, SITE, "pub", "Configured", "Unsupported value for LinkAccess: ingress-nginx")
    assert cluster.get(SITE, "pub")["status"]["endpoints"] and cluster.get(ROUTER_ACCESS, "skupper-router")


def test_link_access_stays_until_its_router_access_is_removed(cluster: Cluster) -> None:
    make_site(cluster, linkAccess="default")
    cluster.others(SITE, "pub", {"linkAccess": "none"})
    until(
        lambda: cluster.get(SITE, "pub")["status"]["conditions"][0]["observedGeneration"] == 2, "it was seen"
    )
    assert cluster.get(ROUTER_ACCESS, "skupper-router") and cluster.get(SITE, "pub")["status"]["endpoints"]
    cluster.client.delete(ROUTER_ACCESS, cluster.namespace, "skupper-router")
    until(lambda: not cluster.get(SITE, "pub")["status"].get("endpoints"), "nobody can link any more")
    until(
        lambda: not cluster.client.get(SERVICES, cluster.namespace, "skupper-router"), "the Service is gone"
    )
    assert said(cluster, SITE, "pub", "Ready")[0] == "True"


def test_listeners_and_their_services(cluster: Cluster) -> None:
    make_site(cluster)
    cluster.create(LISTENER, "web", listener("web"))
    becomes(cluster, LISTENER, "web", "Configured", "OK")
    service = cluster.get(SERVICES, "web")
    assert service["metadata"]["labels"] == {"internal.skupper.io/listener": "web"}
    assert service["spec"]["selector"] == {
        "application": "skupper-router",
        "skupper.io/component": "router",
    }
    cluster.create(LISTENER, "clash", listener("web"))
    words = "Listener web with host web and port 8000 already exists in namespace"
    becomes(cluster, LISTENER, "clash", "Configured", words)
    cluster.client.delete(LISTENER, cluster.namespace, "clash")  # it would take the host that becomes free
    port = {"port": 80, "targetPort": 80}
    taken = {"metadata": {"name": "taken"}, "spec": {"ports": [port], "selector": {"app": "taken"}}}
    cluster.client.request("POST", f"/api/v1/namespaces/{cluster.namespace}/services", body=taken)
    cluster.create(LISTENER, "taken", listener("taken", 80))
    becomes(cluster, LISTENER, "taken", "Configured", "Service taken already exists in namespace")
    assert said(cluster, LISTENER, "taken", "Ready")[1] == "Error"
    cluster.client.delete(LISTENER, cluster.namespace, "taken")

    # The Service stays with its port, moves with its host, and comes back when it was removed.
    cluster.others(LISTENER, "web", {"port": 8001})
    until(lambda: cluster.get(SERVICES, "web")["spec"]["ports"][0]["port"] == 8001, "the port is changed")
    assert cluster.get(SERVICES, "web")["metadata"]["uid"] == service["metadata"]["uid"]
    cluster.others(LISTENER, "web", {"host": "renamed"})
    until(lambda: bool(cluster.client.get(SERVICES, cluster.namespace, "renamed")), "the new one is there")
    until(lambda: not cluster.client.get(SERVICES, cluster.namespace, "web"), "the old one is gone")
    cluster.client.delete(SERVICES, cluster.namespace, "renamed")
    until(lambda: bool(cluster.client.get(SERVICES, cluster.namespace, "renamed")), "it is there again")
    assert cluster.get(SERVICES, "taken")["spec"]["selector"] == {"app": "taken"}


def test_without_a_site(cluster: Cluster) -> None:
    cluster.create(LISTENER, "web", listener("web"))
    becomes(cluster, LISTENER, "web", "Configured", "No active site in namespace")


def test_a_selector_without_pods(site: Cluster) -> None:
    site.create(CONNECTOR, "web", {"routingKey": "web", "port": 80, "selector": "app=web", "type": "tcp"})
    site.create(CONNECTOR, "host", {"routingKey": "web", "port": 80, "host": "127.0.0.1", "type": "tcp"})
    becomes(site, CONNECTOR, "host", "Configured", "OK")
    # Nothing is said of the other, or only that nobody listens.
    assert said(site, CONNECTOR, "web", "Configured") == ("", "", "")
    becomes(site, CONNECTOR, "host", "Matched", "No matching listeners")
    site.create(LISTENER, "web", listener("web"))
    becomes(site, CONNECTOR, "host", "Matched", "OK")
    becomes(site, LISTENER, "web", "Matched", "OK")


def test_only_some_conditions_follow_the_generation(site: Cluster) -> None:
    site.create(CONNECTOR, "web", {"routingKey": "web", "port": 80, "host": "127.0.0.1", "type": "tcp"})
    site.create(LISTENER, "web", listener("web"))
    becomes(site, LISTENER, "web", "Matched", "OK")
    site.others(LISTENER, "web", {"port": 8001})

    def generations() -> dict[str, int]:
        found = site.get(LISTENER, "web")["status"]["conditions"]
        return {one["type"]: one["observedGeneration"] for one in found}

    until(lambda: generations()["Configured"] == 2, "the change was seen")
    assert generations() == {"Configured": 2, "Ready": 2, "Matched": 1}


def issue(public: Cluster, allowed: int = 1) -> Object:
    """A token."""
    public.create(ACCESS_GRANT, "grant", {"redemptionsAllowed": allowed, "expirationWindow": "15m"})
    becomes(public, ACCESS_GRANT, "grant", "Ready", "OK")
    status = public.get(ACCESS_GRANT, "grant")["status"]
    return {key: status[key] for key in ("url", "code", "ca")}


def used(public: Cluster) -> int:
    """How often the grant was redeemed."""
    return int(public.get(ACCESS_GRANT, "grant")["status"].get("redemptions") or 0)


def test_redemption_and_its_failures(public: Cluster, private: Cluster) -> None:
    token = issue(public)
    failed = "Controller got failed response: "
    private.create(ACCESS_TOKEN, "wrong", {**token, "code": "wr0ng"})
    refused = f"{failed}403 (Forbidden) Redemption of access token refused"
    becomes(private, ACCESS_TOKEN, "wrong", "Redeemed", refused)
    private.create(ACCESS_TOKEN, "unknown", {**token, "url": f"{token['url']}-not"})
    becomes(private, ACCESS_TOKEN, "unknown", "Redeemed", f"{failed}404 (Not Found) No such claim")
    private.create(ACCESS_TOKEN, "trust", {**token, "ca": GrantServer.other_authority()})
    until(
        lambda: said(private, ACCESS_TOKEN, "trust", "Redeemed")[2].endswith("signed by unknown authority"),
        "the server is not trusted",
    )
    private.create(ACCESS_TOKEN, "dead", {**token, "url": "https://127.0.0.1:1/x"})
    until(
        lambda: said(private, ACCESS_TOKEN, "dead", "Redeemed")[2].endswith("connect: connection refused"),
        "nobody answers",
    )
    assert used(public) == 0
    private.create(ACCESS_TOKEN, "good", {**token, "linkCost": 3})
    becomes(private, ACCESS_TOKEN, "good", "Redeemed", "OK")
    assert used(public) == 1 and private.get(ACCESS_TOKEN, "good")["status"]["redeemed"] is True
    link = private.get(LINK, "good")["spec"]
    assert link["cost"] == 3 and link["tlsCredentials"] == "good" and len(link["endpoints"]) == 2
    assert private.get(SECRET, "good")["type"] == "kubernetes.io/tls"
    private.create(ACCESS_TOKEN, "late", token)
    becomes(private, ACCESS_TOKEN, "late", "Redeemed", f"{failed}404 (Not Found) No such access granted")
    # The grant itself does not say so.
    assert said(public, ACCESS_GRANT, "grant", "Ready")[2] == "OK"


def test_a_secret_in_the_way_burns_redemptions(public: Cluster, private: Cluster) -> None:
    token = issue(public, allowed=5)
    secret = {"metadata": {"name": "taken"}, "data": {"tls.key": "b2xk"}}
    private.client.request("POST", f"/api/v1/namespaces/{private.namespace}/secrets", body=secret)
    private.create(ACCESS_TOKEN, "taken", token)
    words = 'Controller could not create received secret: secrets "taken" already exists'
    becomes(private, ACCESS_TOKEN, "taken", "Redeemed", words)
    until(lambda: used(public) >= 2, "it was tried again")
    private.client.delete(ACCESS_TOKEN, private.namespace, "taken")


def test_what_is_left_of_a_site(public: Cluster, private: Cluster) -> None:
    token = issue(public)
    private.create(LISTENER, "web", listener("web"))
    private.create(ACCESS_TOKEN, "token", token)
    becomes(private, ACCESS_TOKEN, "token", "Redeemed", "OK")
    link = private.get(LINK, "token")
    private.others(LINK, "token", {}, annotations={"touched": "yes"})
    becomes(private, LINK, "token", "Operational", "OK")
    # A running link does not miss its Secret.
    private.client.delete(SECRET, private.namespace, "token")
    assert private.get(LINK, "token")["metadata"]["uid"] == link["metadata"]["uid"]
    private.client.delete(SITE, private.namespace, "priv")
    becomes(private, ACCESS_TOKEN, "token", "Redeemed", "Already redeemed for a deleted site")
    until(lambda: not private.client.get(LINK, private.namespace, "token"), "the link is gone")
    until(lambda: not private.client.get(SERVICES, private.namespace, "web"), "the Service is gone")
    assert private.get(ACCESS_TOKEN, "token")["status"]["redeemed"] is True
    assert said(private, LISTENER, "web", "Matched") == ("False", "Pending", "No matching connectors")
    # Later it says that there is no site, and with a new one it comes back.
    private.create(SITE, "priv", {})
    becomes(private, SITE, "priv", "Ready", "OK")
    private.others(LISTENER, "web", {}, annotations={"touched": "yes"})
    becomes(private, LISTENER, "web", "Configured", "OK")
    until(lambda: bool(private.client.get(SERVICES, private.namespace, "web")), "the Service is back")


def test_high_availability_gives_two_links(cluster: Cluster, private: Cluster) -> None:
    public = cluster
    public.others(SITE, "pub", {"ha": True})
    until(lambda: len(public.get(SITE, "pub")["status"]["endpoints"]) == 4, "there are two routers")
    private.create(ACCESS_TOKEN, "token", issue(public))
    becomes(private, ACCESS_TOKEN, "token", "Redeemed", "OK")
    assert [one["metadata"]["name"] for one in private.client.all(LINK, private.namespace)] == [
        "token-1",
        "token-2",
    ]
    assert public.command("link", "generate").count("kind: Link\n") == 2
    public.others(SITE, "pub", {"ha": False})
    until(lambda: len(public.get(SITE, "pub")["status"]["endpoints"]) == 2, "there is one again")


def test_grants_outlive_the_controller(empty: Cluster) -> None:
    kubeconfig = empty.api.kubeconfig
    where = (empty.namespace,)
    options = Options(fast=True, namespaces=where, collect=True, home=empty.namespace, routers="none")
    with Controller(kubeconfig, options):
        make_site(empty, linkAccess="default")
        token = issue(empty, allowed=2)
    with Controller(kubeconfig, options) as controller:
        becomes(empty, SITE, "pub", "Ready", "OK")
        status = empty.get(ACCESS_GRANT, "grant")["status"]
        assert (status["code"], status["ca"]) == (token["code"], token["ca"])
        assert controller.grants.server and status["url"].startswith("https://127.0.0.1:")
        assert yaml.safe_dump(empty.get(SITE, "pub")["status"]["endpoints"])
