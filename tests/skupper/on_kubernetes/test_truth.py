"""What every module promises on Kubernetes: prerequisites, drift, removal, waits and refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import (
    ACCESS_GRANT,
    ACCESS_TOKEN,
    CONNECTOR,
    LINK,
    LISTENER,
    SECRET,
    SITE,
    Kind,
)

from tests.skupper.on_kubernetes.cluster import Cluster, Object, forget_crds, install_crds
from tests.standins.skupper.grant_server import GrantServer

DATA = {"ca.crt": "Y2E=", "tls.crt": "Y3J0", "tls.key": "aGlkZGVu"}
GENERATED = yaml.safe_dump_all(
    [
        {"kind": "Secret", "metadata": {"name": "link-far"}, "data": DATA},
        {
            "kind": "Link",
            "metadata": {"name": "link-far-skupper-router"},
            "spec": {
                "tlsCredentials": "link-far",
                "cost": 1,
                "endpoints": [{"name": "edge", "host": "10.0.0.9", "port": "45671"}],
            },
        },
    ]
)
#: Each module with what is enough for it to make something.
MODULES: dict[str, dict[str, Any]] = {
    "skupper_site": {"name": "pub"},
    "skupper_listener": {"name": "web", "port": 8000},
    "skupper_connector": {"name": "web", "port": 80, "selector": "app=web"},
    "skupper_token": {"name": "priv", "return_token": True},
    "skupper_link": {"link": GENERATED},
}


def removal(module: str) -> dict[str, Any]:
    """The options with which a module removes what it made."""
    return {"name": MODULES[module].get("name", "link-far"), "state": "absent"}


def token_for(url: str, name: str = "far", code: str = "s3cret-c0de") -> str:
    """A token for any server."""
    spec = {"url": url, "code": code, "ca": GrantServer.other_authority()}
    return yaml.safe_dump({"kind": "AccessToken", "metadata": {"name": name}, "spec": spec})


@pytest.fixture
def without_crds(empty: Cluster) -> Iterator[Cluster]:
    """A namespace of an API server that does not know Skupper's kinds; afterwards it does."""
    forget_crds(empty.client)
    try:
        yield empty
    finally:
        install_crds(empty.client)


@pytest.mark.parametrize("module", MODULES)
def test_namespace_is_missing(cluster: Cluster, module: str) -> None:
    options = {**MODULES[module], "namespace": "nowhere"}
    predicted = cluster.module(module, **options, check=True)
    assert predicted["changed"] and predicted["warnings"], predicted
    real = cluster.module(module, **options)
    assert real["failed"] and ("namespace nowhere" in real["msg"])
    assert "create it first" in real["msg"] or "make it first" in real["msg"]
    assert not cluster.module(module, **removal(module), namespace="nowhere")["changed"]


def test_crds_are_missing(without_crds: Cluster) -> None:
    for module, options in MODULES.items():
        predicted = without_crds.module(module, **options, check=True)
        assert predicted["changed"], (module, predicted)
        assert "Skupper's CRDs are not installed" in str(predicted["warnings"])
        real = without_crds.module(module, **options)
        assert real["failed"] and "install Skupper 2.1 or newer there first" in real["msg"], (module, real)
        assert not without_crds.module(module, **removal(module))["changed"], module
    told = without_crds.module("skupper_info")
    assert not told["sites"] and "Skupper's CRDs are not installed" in told["missing"]


@pytest.mark.parametrize("module", MODULES)
def test_not_allowed(empty: Cluster, module: str) -> None:
    for check in (True, False):
        result = empty.module(module, **MODULES[module], impersonate_user="nobody", check=check)
        assert result["failed"] and 'User "nobody"' in result["msg"] and "RoleBinding" in result["msg"]


def test_controller_is_missing(empty: Cluster) -> None:
    predicted = empty.module("skupper_site", name="pub", check=True)
    assert predicted["changed"] and "no controller of Skupper was found" in str(predicted["warnings"])
    assert (
        "no controller watches this namespace"
        in empty.module("skupper_site", name="pub", wait_timeout=1)["msg"]
    )
    labels = {"app.kubernetes.io/name": "skupper-controller"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "c"}]}}
    deployment = {
        "metadata": {"name": "skupper-controller", "labels": labels},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
    }
    path = f"/apis/apps/v1/namespaces/{empty.namespace}/deployments"
    empty.client.request("POST", path, body=deployment)
    try:
        again = empty.module("skupper_listener", name="web", port=1, check=True)
        assert again["changed"] and not again.get("warnings")
    finally:
        empty.client.request("DELETE", f"{path}/skupper-controller")


@pytest.mark.parametrize(
    "module, kind, options, theirs",
    [
        ("skupper_site", SITE, {"name": "pub", "edge": True}, {"edge": False, "linkAccess": "local"}),
        (
            "skupper_listener",
            LISTENER,
            MODULES["skupper_listener"],
            {"routingKey": "x", "exposePodsByName": True},
        ),
        ("skupper_connector", CONNECTOR, MODULES["skupper_connector"], {"port": 9, "useClientCert": True}),
    ],
)
def test_drift_is_repaired_and_what_others_added_stays(
    empty: Cluster, module: str, kind: Kind, options: dict[str, Any], theirs: Object
) -> None:
    options = {**options, "settings": {"ours": "1"}, "labels": {"ours": "1"}, "wait": False}
    empty.module(module, **options)
    wanted = empty.get(kind, options["name"])["spec"]
    added = {"labels": {"theirs": "1"}, "annotations": {"theirs": "1"}}
    empty.others(kind, options["name"], {**theirs, "settings": {"theirs": "1", "ours": "2"}}, **added)
    predicted = empty.module(module, **options, check=True)
    done = empty.module(module, **options)
    assert predicted["changed"] and done["changed"] and predicted["diff"] == done["diff"]
    for key, value in theirs.items():
        assert (done["diff"]["before"].get("spec") or {}).get(key, False) == value
    now = empty.get(kind, options["name"])
    assert now["spec"] == {**wanted, "settings": {"ours": "1", "theirs": "1"}}
    assert now["metadata"]["labels"] == {"ours": "1", "theirs": "1"}
    assert now["metadata"]["annotations"] == {"theirs": "1"}
    assert not empty.module(module, **options)["changed"]


def test_who_does_not_wait_need_not(empty: Cluster) -> None:
    """Nobody is there who would ever say a word."""
    for module, options in MODULES.items():
        if module == "skupper_token":
            empty.module("skupper_site", name="pub", link_access="default", wait=False)
        done = empty.module(module, **options, wait=False)
        assert done["changed"] and not done.get("failed"), (module, done)
        assert done.get("token") is None
    # Without a controller the grant is never ready, and is not made again for that.
    before = empty.writes()
    for module in ("skupper_listener", "skupper_connector", "skupper_token", "skupper_link"):
        assert not empty.module(module, **MODULES[module], wait=False)["changed"], module
    assert empty.writes() == before
    late = empty.module("skupper_token", **MODULES["skupper_token"], wait_timeout=1)
    assert late["failed"] and "waiting for Ready" in late["msg"] and "Next: kubectl" in late["msg"]


def test_what_holds_an_object_is_named(cluster: Cluster) -> None:
    cluster.module("skupper_site", name="pub")
    cluster.module("skupper_listener", name="web", port=8000)
    cluster.others(LISTENER, "web", {}, finalizers=["example.com/held"])
    result = cluster.module("skupper_listener", name="web", state="absent", wait_timeout=1)
    assert result["failed"] and "its finalizers: example.com/held" in result["msg"]
    assert "Next: kubectl -n" in result["msg"]
    cluster.others(LISTENER, "web", {}, finalizers=None)
    assert not cluster.module("skupper_listener", name="web", state="absent")["changed"]


def test_link_is_removed_token_first(cluster: Cluster) -> None:
    cluster.module("skupper_site", name="pub")
    cluster.module("skupper_link", link=GENERATED, name="link-far", wait=False)
    cluster.create(ACCESS_TOKEN, "link-far", {"url": "https://x/y", "code": "c", "ca": "c"})
    before = len(cluster.writes())
    gone = cluster.module("skupper_link", name="link-far", state="absent")
    assert gone["changed"] and gone["links"] == []
    plurals = [one.split("?")[0].split("/")[-2] for one in cluster.writes()[before:]]
    # The Secret last: the router would not miss it, the controller might redeem into it.
    assert plurals == (["accesstokens", "links", "secrets"] if cluster.api.plane else [])
    for kind, name in ((ACCESS_TOKEN, "link-far"), (LINK, "link-far-skupper-router"), (SECRET, "link-far")):
        assert cluster.client.get(kind, cluster.namespace, name) is None


def test_a_changed_secret_of_a_redeemed_link_is_seen(public: Cluster, private: Cluster) -> None:
    token = public.module("skupper_token", name="priv", return_token=True, redemptions_allowed=2)["token"]
    options: dict[str, Any] = {"token": token, "probe": "none"}
    assert private.module("skupper_link", **options)["changed"]
    good = private.get(SECRET, "priv")["data"]
    path = f"/api/v1/namespaces/{private.namespace}/secrets/priv"
    patch = {"data": {"tls.key": "c3BvaWx0"}}
    private.client.request("PATCH", path, [], patch, "application/merge-patch+json")
    predicted = private.module("skupper_link", **options, check=True)
    assert predicted["changed"] and predicted["diff"]["before"]["Secret/priv"] == "not as it was made"
    lost = private.module("skupper_link", name="priv")
    assert lost["failed"] and "not as it was made, and no token was given" in lost["msg"]
    repaired = private.module("skupper_link", **options)
    now = private.get(SECRET, "priv")["data"]
    # Each redemption brings a key of its own.
    assert (
        repaired["changed"] and repaired["redeemed"] and now["tls.key"] not in ("c3BvaWx0", good["tls.key"])
    )
    assert not private.module("skupper_link", **options)["changed"]
    for key in ("c3BvaWx0", good["tls.key"], now["tls.key"]):
        assert key not in str([predicted, lost, repaired])


@pytest.mark.parametrize("how, message", [("spent", "No such access granted"), ("unknown", "No such claim")])
def test_a_token_that_is_good_no_more(public: Cluster, private: Cluster, how: str, message: str) -> None:
    token = public.module("skupper_token", name="priv", return_token=True)["token"]
    if how == "spent":
        assert private.module("skupper_link", token=token, probe="none")["changed"]
        private.module("skupper_link", name="priv", state="absent")
    else:
        public.module("skupper_token", name="priv", state="absent")
        found = yaml.safe_load(token)
        found["spec"]["url"] = found["spec"]["url"].rpartition("/")[0] + "/gone"
        token = yaml.safe_dump(found)
    result = private.module("skupper_link", token=token, probe="none")
    assert result["failed"] and message in result["msg"] and "issue another token" in result["msg"]
    for kind in (ACCESS_TOKEN, LINK, SECRET):
        assert private.client.get(kind, private.namespace, "priv") is None


def test_a_token_that_nobody_redeems_is_taken_back(empty: Cluster) -> None:
    empty.module("skupper_site", name="pub", wait=False)
    result = empty.module("skupper_link", token=token_for("https://192.0.2.1/x"), probe="none")
    assert result["failed"] and "taken back" in result["msg"] and "135 s" in result["msg"]
    assert empty.client.get(ACCESS_TOKEN, empty.namespace, "far") is None
    assert "s3cret-c0de" not in str(result)


def test_a_server_that_does_not_answer_from_here(empty: Cluster, dead_port: int) -> None:
    """It is a reason not to try only where that was asked for: the controller may see more than we do."""
    empty.module("skupper_site", name="pub", wait=False)
    token = token_for(f"https://127.0.0.1:{dead_port}/x")
    strict = empty.module("skupper_link", token=token, probe="required")
    assert strict["failed"] and "did not answer within 5 s" in strict["msg"]
    assert "nothing was changed" in strict["msg"]
    tried = empty.module("skupper_link", token=token)
    assert "whether the server of token far answers cannot be told from here" in str(tried["warnings"])
    assert tried["failed"] and "taken back" in tried["msg"]


def test_version_1_is_told(cluster: Cluster) -> None:
    labels = {"skupper.io/type": "token-claim"}
    token = yaml.safe_dump({"kind": "Secret", "metadata": {"name": "a", "labels": labels}})
    result = cluster.module("skupper_link", token=token)
    assert result["failed"] and "one of Skupper version 1" in result["msg"]


def test_a_grant_is_not_drift_while_it_waits(empty: Cluster) -> None:
    empty.module("skupper_site", name="pub", link_access="default", wait=False)
    options: dict[str, Any] = {"name": "priv", "return_token": True, "wait": False}
    assert empty.module("skupper_token", **options)["changed"]
    uid = empty.get(ACCESS_GRANT, "priv")["metadata"]["uid"]
    assert not empty.module("skupper_token", **options)["changed"]
    assert empty.get(ACCESS_GRANT, "priv")["metadata"]["uid"] == uid
