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
from tests.standins.skupper.grant_server import GrantServer
from tests.standins.skupper.model.redeem import redeem


def redemptions(public: Cluster) -> int:
    """How often the grant was redeemed."""
    return int((public.get(ACCESS_GRANT, "priv").get("status") or {}).get("redemptions") or 0)


def issue(public: Cluster, **options: Any) -> Any:
    return public.module("skupper_token", name="priv", return_token=True, **options)


def test_a_grant_is_reused_while_it_is_good(public: Cluster, tmp_path: Path) -> None:
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
    redeem(token, "somebody")
    spent = issue(public, check=True)
    assert spent["changed"] and spent["diff"]["before"]["grant"] == "is spent" and spent["token"] is None
    renewed = issue(public)
    assert renewed["changed"] and renewed["token"] != first["token"]
    assert public.get(ACCESS_GRANT, "priv")["metadata"]["uid"] != uid
    assert issue(public, redemptions_allowed=3)["grant"]["redemptions_allowed"] == 3

    before = public.writes()
    predicted = public.module("skupper_token", name="priv", state="absent", check=True)
    assert public.writes() == before and public.get(ACCESS_GRANT, "priv")
    gone = public.module("skupper_token", name="priv", state="absent")
    assert predicted["changed"] and predicted["diff"] == gone["diff"]
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


def test_a_token_is_redeemed_once_and_nothing_of_it_is_left(public: Cluster, private: Cluster) -> None:
    token = issue(public, redemptions_allowed=3)["token"]
    options: dict[str, Any] = {"token": token}
    before = private.writes()
    predicted = private.module("skupper_link", check=True, **options)
    assert predicted["changed"] and predicted["redeemed"] and private.writes() == before
    done = private.module("skupper_link", **options)
    assert done["changed"] and done["redeemed"] and done["links"][0]["operational"] is True
    assert private.client.get(ACCESS_TOKEN, private.namespace, "priv") is None
    assert redemptions(public) == 1
    before = private.writes()
    for check in (True, False):
        again = private.module("skupper_link", check=check, **options)
        assert not again["changed"] and not again["redeemed"]
    assert private.writes() == before and redemptions(public) == 1

    # Skupper itself does not notice that: the router has the key in memory.
    uid = private.get(LINK, "priv")["metadata"]["uid"]
    private.client.delete(SECRET, private.namespace, "priv")
    bad = yaml.safe_load(token)
    bad["spec"]["code"] = "wr0ng"
    failed = private.module("skupper_link", token=yaml.safe_dump(bad))
    assert failed["failed"] and "link priv stays until then" in failed["msg"]
    repaired = private.module("skupper_link", **options)
    assert repaired["changed"] and repaired["redeemed"] and redemptions(public) == 2
    # It is the same link all the time, and nothing of the other name is left.
    assert [one["metadata"]["uid"] for one in private.client.all(LINK, private.namespace)] == [uid]
    assert private.get(SECRET, "priv")["metadata"]["ownerReferences"][0]["kind"] == "Site"
    for kind, name in ((SECRET, "priv-anew"), (ACCESS_TOKEN, "priv-anew"), (ACCESS_TOKEN, "priv")):
        assert private.client.get(kind, private.namespace, name) is None
    before = private.writes()
    assert not private.module("skupper_link", **options)["changed"] and private.writes() == before

    dearer = private.module("skupper_link", **options, cost=5)
    assert dearer["changed"] and not dearer["redeemed"] and private.get(LINK, "priv")["spec"]["cost"] == 5
    assert not private.module("skupper_link", **options, cost=5)["changed"]

    before = private.writes()
    predicted = private.module("skupper_link", name="priv", state="absent", check=True)
    assert private.writes() == before and private.get(LINK, "priv") and private.get(SECRET, "priv")
    gone = private.module("skupper_link", name="priv", state="absent")
    assert predicted["changed"] and predicted["diff"] == gone["diff"]
    assert gone["changed"] and gone["diff"]["before"] == {"Link/priv": "present", "Secret/priv": "present"}
    assert private.client.get(SECRET, private.namespace, "priv") is None
    assert not private.module("skupper_link", name="priv", state="absent")["changed"]
    code = yaml.safe_load(token)["spec"]["code"]
    for result in (predicted, done, repaired, dearer, gone):
        assert code not in str(result)


def test_a_token_that_fails_is_taken_back(public: Cluster, private: Cluster) -> None:
    token = yaml.safe_load(issue(public)["token"])
    token["spec"]["code"] = "wr0ng"
    result = private.module("skupper_link", token=yaml.safe_dump(token))
    assert result["failed"] and "403 (Forbidden) Redemption of access token refused" in result["msg"]
    assert "it was taken back" in result["msg"] and "wr0ng" not in str(result)
    assert private.client.get(ACCESS_TOKEN, private.namespace, "priv") is None
    assert redemptions(public) == 0


def test_a_server_that_refuses_is_not_even_tried(public: Cluster) -> None:
    token = yaml.safe_load(issue(public)["token"])
    token["spec"].update(url="https://127.0.0.1:1/x", ca=GrantServer.other_authority())
    before = public.writes()
    result = public.module("skupper_link", token=yaml.safe_dump(token))
    assert result["failed"] and "127.0.0.1:1 refuses connections" in result["msg"]
    assert "nothing was changed" in result["msg"] and public.writes() == before


def test_what_an_earlier_link_left_is_no_obstacle(public: Cluster, private: Cluster) -> None:
    token = issue(public)["token"]
    secret: dict[str, Any] = {"metadata": {"name": "priv"}, "data": {"tls.key": "b2xk"}}
    path = f"/api/v1/namespaces/{private.namespace}/secrets"
    private.client.request("POST", path, body=secret)
    done = private.module("skupper_link", token=token)
    # The controller would have burnt the redemption and then failed on the Secret.
    assert done["redeemed"] and redemptions(public) == 1
    assert private.get(SECRET, "priv")["data"]["tls.key"] != "b2xk"


def test_a_generated_link(public: Cluster, private: Cluster) -> None:
    text = public.command("link", "generate")
    options: dict[str, Any] = {"link": text}
    data = next(one for one in yaml.safe_load_all(text) if one["kind"] == "Secret")["data"]
    # As somebody applied what a site on a host generates: the type cannot be changed.
    opaque = {"metadata": {"name": "link-pub"}, "type": "Opaque", "data": data}
    private.client.request("POST", f"/api/v1/namespaces/{private.namespace}/secrets", body=opaque)
    predicted = private.module("skupper_link", check=True, **options)
    done = private.module("skupper_link", **options)
    assert predicted["changed"] and done["changed"] and done["links"][0]["operational"] is True
    assert private.get(SECRET, "link-pub")["type"] == "kubernetes.io/tls"
    before = private.writes()
    assert not private.module("skupper_link", **options)["changed"] and private.writes() == before
    private.others(LINK, "link-pub-skupper-router", {"cost": 9})
    assert private.module("skupper_link", **options)["changed"]
    assert private.module("skupper_link", name="link-pub", state="absent")["changed"]
    assert private.client.get(SECRET, private.namespace, "link-pub") is None
    assert data["tls.key"] not in str([predicted, done])
