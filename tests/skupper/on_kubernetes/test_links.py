"""Grants, tokens and links on a real Kubernetes API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import (
    ACCESS_GRANT,
    ACCESS_TOKEN,
    LINK,
    SECRET,
)

from tests.skupper.on_kubernetes.cluster import Cluster
from tests.skupper.on_kubernetes.controller import Controller
from tests.standins.skupper.grant_server import GrantServer


@pytest.fixture
def public(cluster: Cluster) -> Cluster:
    """A namespace with a site that can be linked to; it also stands for the other side."""
    cluster.module("skupper_site", name="pub", link_access="default")
    return cluster


def issue(public: Cluster, **options: Any) -> Any:
    return public.module("skupper_token", name="priv", return_token=True, **options)


def test_a_grant_is_reused_while_it_is_good(public: Cluster, controller: Controller, tmp_path: Path) -> None:
    path = tmp_path / "token.yaml"
    before = public.writes()
    predicted = issue(public, check=True, dest=str(path))
    assert predicted["changed"] and predicted["token"] is None and predicted["grant"] is None
    assert public.writes() == before and not path.exists()

    first = issue(public, dest=str(path))
    assert first["changed"] and first["grant"]["usable"]
    token = yaml.safe_load(first["token"])
    assert (
        token["kind"] == "AccessToken"
        and token["metadata"]["name"] == "priv"
        and token["spec"]["linkCost"] == 1
    )
    assert path.read_text() == first["token"] and path.stat().st_mode & 0o777 == 0o600

    before = public.writes()
    for check in (True, False):
        again = issue(public, check=check, dest=str(path))
        assert not again["changed"] and again["token"] == first["token"]
    assert public.writes() == before
    path.chmod(0o644)
    assert issue(public, dest=str(path))["changed"] and path.stat().st_mode & 0o777 == 0o600

    uid = public.get(ACCESS_GRANT, "priv")["metadata"]["uid"]
    controller.grants[uid]["redemptions"] = 1
    controller.settle()
    spent = issue(public, check=True)
    assert spent["changed"] and spent["diff"]["before"]["grant"] == "is spent" and spent["token"] is None
    renewed = issue(public)
    assert renewed["changed"] and renewed["token"] != first["token"]
    assert public.get(ACCESS_GRANT, "priv")["metadata"]["uid"] != uid
    assert issue(public, redemptions_allowed=3)["grant"]["redemptions_allowed"] == 3

    gone = public.module("skupper_token", name="priv", state="absent")
    assert gone["changed"] and gone["token"] is None
    assert not public.module("skupper_token", name="priv", state="absent")["changed"]


def test_the_code_is_only_where_it_was_asked_for(public: Cluster, tmp_path: Path) -> None:
    result = public.module("skupper_token", name="priv", dest=str(tmp_path / "t"))
    code = yaml.safe_load((tmp_path / "t").read_text())["spec"]["code"]
    assert code not in str(result) and result["token"] is None
    nobody = public.module("skupper_token", name="priv")
    assert nobody["failed"] and "nobody would get the token" in nobody["msg"]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"expiration_window": "15"}, "write hours, minutes and seconds"),
        ({"expiration_window": "30s"}, "at least 1m is needed"),
        ({"redemptions_allowed": 0}, "redemptions_allowed is 0; at least 1 is needed"),
        ({"dest": "/nonexistent/x"}, "its directory does not exist"),
    ],
)
def test_what_cannot_be(public: Cluster, options: dict[str, Any], message: str) -> None:
    result = issue(public, **options)
    assert result["failed"] and message in result["msg"]
    assert public.client.get(ACCESS_GRANT, public.namespace, "priv") is None


def test_a_site_that_cannot_be_linked_to(cluster: Cluster) -> None:
    assert "has no site yet; make it first" in issue(cluster)["msg"]
    cluster.module("skupper_site", name="pub")
    assert "its link access is none; set link_access=default" in issue(cluster)["msg"]
    assert issue(cluster, check=True)["changed"]


def test_a_token_is_redeemed_once_and_nothing_of_it_is_left(public: Cluster, controller: Controller) -> None:
    token = issue(public, redemptions_allowed=3)["token"]
    options: dict[str, Any] = {"token": token, "probe": "none"}
    before = public.writes()
    predicted = public.module("skupper_link", check=True, **options)
    assert predicted["changed"] and predicted["redeemed"] and public.writes() == before
    done = public.module("skupper_link", **options)
    assert done["changed"] and done["redeemed"] and done["links"][0]["operational"] is True
    assert public.client.get(ACCESS_TOKEN, public.namespace, "priv") is None
    assert controller.attempts == 1
    before = public.writes()
    for check in (True, False):
        again = public.module("skupper_link", check=check, **options)
        assert not again["changed"] and not again["redeemed"]
    assert public.writes() == before and controller.attempts == 1

    # Skupper itself does not notice that: the router has the key in memory.
    public.client.delete(SECRET, public.namespace, "priv")
    repaired = public.module("skupper_link", **options)
    assert repaired["changed"] and repaired["redeemed"] and controller.attempts == 2
    assert public.get(SECRET, "priv")

    dearer = public.module("skupper_link", **options, cost=5)
    assert dearer["changed"] and not dearer["redeemed"] and public.get(LINK, "priv")["spec"]["cost"] == 5
    assert not public.module("skupper_link", **options, cost=5)["changed"]

    gone = public.module("skupper_link", name="priv", state="absent")
    assert gone["changed"] and gone["diff"]["before"] == {"Link/priv": "present", "Secret/priv": "present"}
    assert public.client.get(SECRET, public.namespace, "priv") is None
    assert not public.module("skupper_link", name="priv", state="absent")["changed"]
    code = yaml.safe_load(token)["spec"]["code"]
    for result in (predicted, done, repaired, dearer, gone):
        assert code not in str(result)


def test_a_token_that_fails_is_taken_back(public: Cluster, controller: Controller) -> None:
    token = yaml.safe_load(issue(public)["token"])
    token["spec"]["code"] = "wr0ng"
    result = public.module("skupper_link", token=yaml.safe_dump(token), probe="none")
    assert result["failed"] and "403 (Forbidden) Redemption of access token refused" in result["msg"]
    assert "it was taken back" in result["msg"] and "wr0ng" not in str(result)
    assert public.client.get(ACCESS_TOKEN, public.namespace, "priv") is None
    tried = controller.attempts
    controller.settle()
    assert controller.attempts == tried


def test_a_server_that_refuses_is_not_even_tried(public: Cluster, controller: Controller) -> None:
    token = yaml.safe_load(issue(public)["token"])
    token["spec"].update(url="https://127.0.0.1:1/x", ca=GrantServer.other_authority())
    result = public.module("skupper_link", token=yaml.safe_dump(token))
    assert result["failed"] and "127.0.0.1:1 refuses connections" in result["msg"]
    assert "nothing was changed" in result["msg"] and controller.attempts == 0


def test_what_an_earlier_link_left_is_no_obstacle(public: Cluster, controller: Controller) -> None:
    token = issue(public)["token"]
    secret: dict[str, Any] = {"metadata": {"name": "priv"}, "data": {"tls.key": "b2xk"}}
    path = f"/api/v1/namespaces/{public.namespace}/secrets"
    public.client.request("POST", path, body=secret)
    done = public.module("skupper_link", token=token, probe="none")
    # The controller would have burnt the redemption and then failed on the Secret.
    assert done["redeemed"] and controller.attempts == 1
    assert public.get(SECRET, "priv")["data"]["tls.key"] == "a2V5"


def test_a_generated_link(public: Cluster) -> None:
    data = {"ca.crt": "Y2E=", "tls.crt": "Y3J0", "tls.key": "aGlkZGVuLWtleQ=="}
    secret = {"kind": "Secret", "metadata": {"name": "link-far"}, "data": data}
    endpoints = [{"name": "edge", "host": "10.0.0.9", "port": "45671"}]
    spec = {"tlsCredentials": "link-far", "cost": 1, "endpoints": endpoints}
    link = {"kind": "Link", "metadata": {"name": "link-far-skupper-router"}, "spec": spec}
    options: dict[str, Any] = {"link": yaml.safe_dump_all([secret, link])}
    # As somebody applied what a site on a host generates: the type cannot be changed.
    opaque = {"metadata": {"name": "link-far"}, "type": "Opaque", "data": data}
    public.client.request("POST", f"/api/v1/namespaces/{public.namespace}/secrets", body=opaque)
    predicted = public.module("skupper_link", check=True, **options)
    done = public.module("skupper_link", **options)
    assert predicted["changed"] and done["changed"] and done["links"][0]["operational"] is True
    assert public.get(SECRET, "link-far")["type"] == "kubernetes.io/tls"
    before = public.writes()
    assert not public.module("skupper_link", **options)["changed"] and public.writes() == before
    public.others(LINK, "link-far-skupper-router", {"cost": 9})
    assert public.module("skupper_link", **options)["changed"]
    assert public.module("skupper_link", name="link-far", state="absent")["changed"]
    assert public.client.get(SECRET, public.namespace, "link-far") is None
    assert "aGlkZGVuLWtleQ==" not in str([predicted, done])
