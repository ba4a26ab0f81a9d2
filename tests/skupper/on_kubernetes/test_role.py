"""Private sites of a host join a public one of a cluster, by the role, from the inventory alone."""

from __future__ import annotations

import threading

from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import (
    ACCESS_GRANT,
    LISTENER,
    SITE,
)

from tests.skupper.modules.host import NAMESPACES, ROOT
from tests.skupper.on_kubernetes.cluster import Cluster
from tests.skupper.on_kubernetes.joined import keys, links, listener, server, sites
from tests.skupper.role.sites import Sites
from tests.skupper.traffic.servers import Requests, greeting, until

__all__ = ["server", "sites"]


def codes(cluster: Cluster, stop: threading.Event, found: set[str]) -> None:
    """Note the codes of all tokens that are issued meanwhile; they are secrets, too."""
    while not stop.wait(0.05):
        for grant in cluster.client.all(ACCESS_GRANT, cluster.namespace):
            code = (grant.get("status") or {}).get("code")
            if code:
                found.add(str(code))


def test_two_private_sites_join_a_public_one(sites: Sites, cluster: Cluster) -> None:
    host = sites.host

    def mark() -> str:
        return cluster.fingerprint() + host.fingerprint()

    before = mark()
    predicted = sites.role("--check", "--diff").fine()
    assert mark() == before, "check mode wrote something"

    stop, seen = threading.Event(), set[str]()
    watcher = threading.Thread(target=codes, args=[cluster, stop, seen], daemon=True)
    watcher.start()
    first = sites.role("-vvvv", "--diff").fine()
    assert first.count("changed") == predicted.count("changed") == {"cluster": 2, "east": 5, "west": 5}
    for site in ("east", "west"):
        assert links(host, site) == [f"Link-{site}-to-public.yaml", f"Secret-{site}-to-public.yaml"]
        assert host.mode(NAMESPACES / site / f"input/resources/Secret-{site}-to-public.yaml") == "600"
    # Tokens are void when they have been used.
    assert cluster.client.all(ACCESS_GRANT, cluster.namespace) == []
    address = listener(cluster)
    until(lambda: greeting(address) == "private", "the model answers on the public side")

    before = mark()
    again = sites.role("--diff").fine()
    assert again.changed == 0 and mark() == before

    # Somebody changes the listener, a link's key is lost, a router has stopped.
    cluster.others(LISTENER, "model", {"port": 9})
    host.run("rm", str(NAMESPACES / "east/input/resources/Secret-east-to-public.yaml"))
    host.run("systemctl", "stop", "skupper-west.service")
    repaired = sites.role().fine()
    assert repaired.count("changed") == {"cluster": 1, "east": 3, "west": 1}
    assert cluster.get(LISTENER, "model")["spec"]["port"] == 8000
    assert host.run("systemctl", "is-active", "skupper-west.service").rc == 0

    old, address = keys(host, "east", "west"), listener(cluster)
    with Requests(address, "private") as requests:
        rotated = sites.playbook(str(ROOT / "playbooks/rotate.yml"), "-vvvv").fine()
    for site in ("east", "west"):
        assert links(host, site) == [f"Link-{site}-to-public-r2.yaml", f"Secret-{site}-to-public-r2.yaml"]
    order = [rotated.said.index(words) for words in ("Both sides agree on the new one", "The old one goes")]
    assert order == sorted(order)
    lost = requests.answered.count(False)
    print(f"{lost} of {len(requests.answered)} requests were lost while the links were issued anew")
    # One site is done after the other. Each is reloaded twice: what is on its way through a router that
    # stops is lost, and the next request is answered by the other one.
    assert set(requests.gaps) <= {1} and lost <= 4, requests.gaps
    until(lambda: greeting(address) == "private", "it answers by the new links")

    stop.set()
    watcher.join()
    new = keys(host, "east", "west")
    assert not set(new) & set(old) and len(seen) == 5
    for secret in (*old, *new, *seen):
        assert secret not in first.said and secret not in rotated.said
    assert sites.role().fine().changed == 0

    absent = {name: {"skupper_site_state": "absent"} for name in sites.places}
    sites.role(**absent).fine()
    assert host.run("ls", str(NAMESPACES)).stdout == ""
    for kind in (SITE, LISTENER):
        assert cluster.client.all(kind, cluster.namespace) == []
    assert sites.role(**absent).fine().changed == 0


def test_version_1_is_left_alone(empty: Cluster) -> None:
    body = {"metadata": {"name": "skupper-site"}, "data": {"name": "old"}}
    empty.client.request("POST", f"/api/v1/namespaces/{empty.namespace}/configmaps", body=body)
    before = empty.writes()
    for check in (True, False):
        refused = empty.module("skupper_site", name="pub", check=check)
        assert refused["failed"] and "has a network of Skupper version 1" in refused["msg"]
    assert empty.writes() == before and empty.client.all(SITE, empty.namespace) == []


def test_version_1_is_not_ruled_out_by_who_may_not_look(empty: Cluster) -> None:
    user, name = "narrow", {"name": "narrow"}
    group = {"apiGroup": "rbac.authorization.k8s.io"}
    subjects = [{"kind": "User", "name": user, **group}]
    rules = [{"apiGroups": ["skupper.io"], "resources": ["*"], "verbs": ["*"]}]
    roles = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{empty.namespace}/role"
    empty.client.request("POST", f"{roles}s", body={"metadata": name, "rules": rules})
    binding = {"metadata": name, "roleRef": {"kind": "Role", **name, **group}, "subjects": subjects}
    empty.client.request("POST", f"{roles}bindings", body=binding)
    assert empty.module("skupper_info")["version_1"] is False
    assert empty.module("skupper_info", impersonate_user=user)["version_1"] is None
    refused = empty.module("skupper_site", name="pub", impersonate_user=user)
    assert refused["failed"] and 'configmaps "skupper-site" is forbidden' in refused["msg"]
    assert empty.client.all(SITE, empty.namespace) == []
