"""Sites on a real Kubernetes API: what the modules write, keep, repair, wait for and say."""

from __future__ import annotations

import time
from typing import Any

import pytest
import yaml
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.cluster import TOUCHED
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.conditions import (
    condition,
    is_true,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import (
    CONNECTOR,
    LINK,
    LISTENER,
    ROUTER_ACCESS,
    SITE,
)

from tests.skupper.modules.beats import six_beats
from tests.skupper.on_kubernetes.cluster import Cluster
from tests.standins.skupper.controller import Controller


@pytest.mark.parametrize(
    "module, key, first, second",
    [
        (
            "skupper_listener",
            "listener",
            {"name": "web", "port": 8000, "labels": {"a": "b"}},
            {
                "name": "web",
                "port": 8001,
                "listener_host": "other",
                "settings": {"x": "1"},
                "observer": "http1",
            },
        ),
        (
            "skupper_connector",
            "connector",
            {"name": "web", "port": 80, "selector": "app=web,tier=front"},
            {"name": "web", "port": 80, "connector_host": "10.0.0.1", "include_not_ready": True},
        ),
    ],
)
def test_six_beats(
    site: Cluster, module: str, key: str, first: dict[str, Any], second: dict[str, Any]
) -> None:
    def call(**options: Any) -> Any:
        return site.module(module, **options)

    six_beats(call, site.fingerprint, first, second, key)


def test_six_beats_of_a_site(cluster: Cluster) -> None:
    def call(**options: Any) -> Any:
        return cluster.module("skupper_site", **options)

    second = {
        "name": "pub",
        "link_access": "nodeport",
        "ha": True,
        # Such as a real controller has made for the first.
        "service_account": "skupper-router",
        "default_issuer": "skupper-site-ca",
        "settings": {"router-logging": "debug"},
    }
    six_beats(call, cluster.fingerprint, {"name": "pub"}, second, "site")


def test_an_unchanged_listener_costs_one_request(site: Cluster) -> None:
    site.module("skupper_listener", name="web", port=8000)
    before = len(site.asked())
    result = site.module("skupper_listener", name="web", port=8000)
    assert not result["changed"] and result["listener"]["conditions"][0]["status"] == "True"
    asked = [(one["verb"], one["objectRef"]["resource"]) for one in site.asked()[before:]]
    assert asked == [("get", "listeners")] * (1 if site.api.plane else 0)


def test_drift_is_shown_and_repaired_and_what_others_wrote_stays(site: Cluster) -> None:
    options: dict[str, Any] = {"name": "web", "port": 8000, "settings": {"x": "1"}, "labels": {"ours": "1"}}
    site.module("skupper_listener", **options)
    spec = {"port": 9, "tlsCredentials": "theirs", "observer": "none", "settings": {"theirs": "1"}}
    site.others(LISTENER, "web", spec, labels={"theirs": "1"}, annotations={"theirs": "1"})
    predicted = site.module("skupper_listener", check=True, **options)
    repaired = site.module("skupper_listener", **options)
    assert predicted["changed"] and repaired["changed"] and predicted["diff"] == repaired["diff"]
    assert repaired["diff"]["before"]["spec"]["tlsCredentials"] == "theirs"
    now = site.get(LISTENER, "web")
    assert now["spec"] == {
        "port": 8000,
        "host": "web",
        "routingKey": "web",
        "type": "tcp",
        "settings": {"x": "1", "theirs": "1"},
    }
    assert now["metadata"]["labels"] == {"ours": "1", "theirs": "1"}
    assert now["metadata"]["annotations"] == {"theirs": "1"}
    assert not site.module("skupper_listener", **options)["changed"]
    # What was ours and is no longer given goes; what is theirs stays.
    assert site.module("skupper_listener", name="web", port=8000)["changed"]
    now = site.get(LISTENER, "web")
    assert now["spec"]["settings"] == {"theirs": "1"} and now["metadata"]["labels"] == {"theirs": "1"}


def test_what_others_made_becomes_ours_and_only_once(site: Cluster) -> None:
    site.create(CONNECTOR, "web", {"port": 80, "routingKey": "web", "selector": "app=web", "type": "tcp"})
    options: dict[str, Any] = {"name": "web", "port": 80, "connector_host": "10.0.0.1"}
    predicted = site.module("skupper_connector", check=True, **options)
    done = site.module("skupper_connector", **options)
    assert predicted["changed"] and done["changed"] and predicted["diff"] == done["diff"]
    # Both would break the rule that there is one of the two.
    assert site.get(CONNECTOR, "web")["spec"] == {
        "port": 80,
        "routingKey": "web",
        "host": "10.0.0.1",
        "type": "tcp",
    }
    assert not site.module("skupper_connector", **options)["changed"]
    site.create(LISTENER, "same", {"port": 80, "routingKey": "same", "host": "same", "type": "tcp"})
    adopted = site.module("skupper_listener", name="same", port=80)
    assert adopted["changed"] and adopted["diff"]["before"]["managed by this collection"] == []
    assert not site.module("skupper_listener", name="same", port=80)["changed"]


def test_link_access_that_a_former_setting_left_open_is_closed(cluster: Cluster) -> None:
    cluster.module("skupper_site", name="pub", link_access="default")
    assert cluster.get(ROUTER_ACCESS, "skupper-router")
    predicted = cluster.module("skupper_site", name="pub", check=True)
    assert predicted["changed"] and predicted["diff"]["before"]["open access"] == "skupper-router"
    assert cluster.get(ROUTER_ACCESS, "skupper-router")
    assert cluster.module("skupper_site", name="pub")["changed"]
    assert cluster.client.get(ROUTER_ACCESS, cluster.namespace, "skupper-router") is None
    assert not cluster.module("skupper_site", name="pub")["changed"]


def test_a_site_made_anew_wakes_what_waits_for_it(site: Cluster) -> None:
    connector: dict[str, Any] = {"name": "db", "port": 5432, "connector_host": "10.0.0.1"}
    site.module("skupper_listener", name="web", port=8000)
    site.module("skupper_connector", **connector)
    site.module("skupper_site", name="pub", state="absent")
    # A link that somebody makes meanwhile: those of the site have gone with it.
    endpoint = {"name": "inter-router", "host": "10.0.0.9", "port": "55671"}
    site.create(LINK, "far", {"tlsCredentials": "far", "cost": 1, "endpoints": [endpoint]})
    again = site.module("skupper_site", name="pub")
    assert again["diff"]["after"]["looked at again"] == ["Listener/web", "Connector/db", "Link/far"]
    for kind, name in ((LISTENER, "web"), (CONNECTOR, "db"), (LINK, "far")):
        assert site.get(kind, name)["metadata"]["annotations"][TOUCHED] == again["site"]["uid"]
    # The touch is not ours to keep: nothing of it is drift.
    assert not site.module("skupper_listener", name="web", port=8000, check=True)["changed"]
    assert not site.module("skupper_connector", **connector, check=True)["changed"]
    assert not site.module("skupper_site", name="pub")["changed"]


def test_workload(site: Cluster) -> None:
    options: dict[str, Any] = {"name": "web", "port": 80, "workload": "deployment/web"}
    predicted = site.module("skupper_connector", check=True, **options)
    assert predicted["changed"] and "deployment/web does not exist" in str(predicted["warnings"])
    assert "deploy it before its connector" in site.module("skupper_connector", **options)["msg"]
    labels = {"app": "web", "tier": "front"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "web"}]}}
    selector = {"selector": {"matchLabels": labels}, "template": template}
    for kind, spec in (
        ("deployment", {"replicas": 0, **selector}),
        ("statefulset", {"replicas": 0, "serviceName": "web", **selector}),
        ("daemonset", selector),
        ("service", {"selector": labels, "ports": [{"port": 80}]}),
    ):
        group = "/api/v1" if kind == "service" else "/apis/apps/v1"
        path = f"{group}/namespaces/{site.namespace}/{kind}s"
        site.client.request("POST", path, body={"metadata": {"name": f"by-{kind}"}, "spec": spec})
        options = {"name": f"by-{kind}", "port": 80, "workload": f"{kind}/by-{kind}"}
        done = site.module("skupper_connector", **options)
        # No pod yet: that is not waited for.
        assert done["changed"] and done["waited"] is False
        assert done["connector"]["selector"] == "app=web,tier=front"
    assert not site.module("skupper_connector", **options)["changed"]


def test_waits_end_with_condition_cause_and_next_command(cluster: Cluster) -> None:
    result = cluster.module("skupper_listener", name="web", port=8000)
    assert result["failed"]
    for part in (
        "Listener web in namespace",
        "was written and failed after",
        "No active site in namespace",
        "Likely cause: the namespace has no site that is Ready",
        "Next: kubectl -n",
    ):
        assert part in result["msg"]
    assert result["conditions"][0]["type"] == "Configured"
    ready = cluster.module("skupper_site", name="pub")
    assert ready["site"]["status"] == "Ready"
    late = cluster.module("skupper_listener", name="web", port=8000, wait_for="ready", wait_timeout=1)
    assert "is not ready after 1 s, waiting for Ready" in late["msg"]


def test_controller_is_absent(empty: Cluster) -> None:
    result = empty.module("skupper_site", name="pub", wait_timeout=1)
    assert result["failed"] and "no controller watches this namespace" in result["msg"]
    # It was written, and who does not want to wait need not.
    assert not empty.module("skupper_site", name="pub", wait=False)["changed"]
    assert empty.get(SITE, "pub")


def test_namespace_is_missing(site: Cluster) -> None:
    predicted = site.module("skupper_site", name="pub", namespace="nowhere", check=True)
    assert predicted["changed"] and "namespace nowhere does not exist" in str(predicted["warnings"])
    real = site.module("skupper_site", name="pub", namespace="nowhere")
    assert real["failed"] and "create it first: kubectl create namespace nowhere" in real["msg"]


def test_second_site(site: Cluster) -> None:
    result = site.module("skupper_site", name="other")
    assert result["failed"] and "has the site pub already" in result["msg"]


def test_nobody_answers(site: Cluster) -> None:
    result = site.module("skupper_site", name="pub", kubeconfig=None, host="https://127.0.0.1:1")
    assert result["failed"] and "no API server answers at https://127.0.0.1:1" in result["msg"]


def test_context_that_is_not_there(site: Cluster) -> None:
    result = site.module("skupper_site", name="pub", context="elsewhere")
    assert result["failed"] and "context elsewhere" in result["msg"] and "give the options" in result["msg"]


def test_not_allowed(site: Cluster) -> None:
    result = site.module("skupper_site", name="pub", impersonate_user="nobody")
    assert result["failed"]
    assert (
        "not allowed" in result["msg"] and 'User "nobody"' in result["msg"] and "RoleBinding" in result["msg"]
    )


def test_a_kubeconfig_given_as_a_mapping_is_not_shown(site: Cluster) -> None:
    content = yaml.safe_load(site.kubeconfig.read_text())
    result = site.module("skupper_site", name="pub", kubeconfig=content)
    assert not result.get("failed") and not result["changed"]
    for user in content["users"]:
        for value in user["user"].values():
            if value != user["user"].get("client-certificate-data"):
                assert value not in str(result)


def test_info(site: Cluster) -> None:
    site.module("skupper_listener", name="web", port=8000)
    info = site.module("skupper_info")
    assert [one["name"] for one in info["sites"]] == ["pub"] and info["sites"][0]["status"] == "Ready"
    assert info["pending"][0].startswith("Listener/web: No")
    assert info["started"] is None and info["versions"]["cli"]


def test_a_word_that_the_controller_lost_is_asked_for_again(
    site: Cluster, controller: Controller | None
) -> None:
    """It never says again what it could not write, because somebody wrote the object meanwhile."""
    if controller:
        controller.world.later(0, lambda: time.sleep(2))
    spec = {"port": 80, "routingKey": "web", "host": "10.0.0.1", "type": "tcp"}
    site.create(CONNECTOR, "web", spec)
    for number in range(40):
        site.others(CONNECTOR, "web", {}, annotations={"number": str(number)})
    time.sleep(3)
    assert condition(site.get(CONNECTOR, "web"), "Configured") is None
    done = site.module("skupper_connector", name="web", port=80, connector_host="10.0.0.1")
    assert done["changed"] and is_true(site.get(CONNECTOR, "web"), "Configured"), done
    assert not site.get(CONNECTOR, "web")["spec"].get("settings")
    assert not site.module("skupper_connector", name="web", port=80, connector_host="10.0.0.1")["changed"]
