# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The names and ports of the published solution, each of them another: all objects agree on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.private_ai.chatbot.plugins.filter.chatbot import chatbot_objects, chatbot_plan

ROOT = Path(__file__).resolve().parents[5]
DEFAULTS: dict[str, Any] = yaml.safe_load((ROOT / "roles/public_chatbot/defaults/main.yml").read_text())
CLUSTER: dict[str, Any] = {
    "ingress": {"classes": ["nginx"], "class": "nginx", "controller": "", "namespaces": ["nginx-ingress"]}
}


def words(value: Any) -> Iterator[Any]:
    """Every name, text and number in an object."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from words(one)
    else:
        yield value


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"name": "helpdesk"},
        {"listener_host": "models.skupper"},
        {"listener_port": 8443},
        {"app_port": 8081},
        {"pod_metrics_port": 9100},
        {
            "name": "help",
            "listener_host": "m",
            "listener_port": 1,
            "app_port": 65535,
            "pod_metrics_port": 8082,
        },
    ],
    ids=lambda given: "+".join(given) or "published",
)
def test_each_can_be_another_and_all_objects_agree(given: dict[str, Any]) -> None:
    chosen = {f"public_chatbot_{name}": value for name, value in given.items()}
    variables = {**DEFAULTS, "public_chatbot_image": "registry.example.com/chatbot@sha256:0", **chosen}
    name, app, metrics = (
        variables[f"public_chatbot_{one}"] for one in ("name", "app_port", "pod_metrics_port")
    )
    host, port = (variables[f"public_chatbot_listener_{one}"] for one in ("host", "port"))
    objects = chatbot_objects(variables, CLUSTER, "kubernetes", "image", "demo")
    found = {f"{one['kind']}{one['metadata']['name'].removeprefix(name)}": one for one in objects}
    assert chatbot_plan(variables, CLUSTER, "kubernetes")["model_address"] == f"{host}:{port}"

    data = found["ConfigMap"]["data"]
    assert (data["ADDRESS"], data["PORT"], data["METRICS_PORT"]) == (
        f"http://{host}:{port}",
        str(app),
        str(metrics),
    )
    pod = found["Deployment"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert {one["name"]: one["containerPort"] for one in container["ports"]} == {
        "http": app,
        "metrics": metrics,
    }
    assert container["envFrom"] == [{"configMapRef": {"name": found["ConfigMap"]["metadata"]["name"]}}]
    assert pod["spec"]["serviceAccountName"] == found["ServiceAccount"]["metadata"]["name"] == name

    # What selects the pods selects these, and what leads to them leads to their ports by name.
    labels = pod["metadata"]["labels"]
    assert labels["app.kubernetes.io/instance"] == name
    policy, guard = found["NetworkPolicy"]["spec"], found["NetworkPolicy-listener"]["spec"]
    for selector in (
        found["Deployment"]["spec"]["selector"]["matchLabels"],
        found["Service"]["spec"]["selector"],
        found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        policy["podSelector"]["matchLabels"],
        guard["ingress"][1]["from"][0]["podSelector"]["matchLabels"],
    ):
        assert selector == labels
    assert [one["ports"][0]["port"] for one in policy["ingress"]] == ["http", "metrics"]
    service = found["Service"]
    assert {(one["port"], one["targetPort"]) for one in service["spec"]["ports"]} == {
        (app, "http"),
        (metrics, "metrics"),
    }
    backend = found["Ingress"]["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": service["metadata"]["name"], "port": {"name": "http"}}

    by_gateway = chatbot_objects(
        {**variables, "public_chatbot_exposure": "gateway", "public_chatbot_gateway": "web"},
        CLUSTER,
        "kubernetes",
        "image",
    )
    (route,) = [one for one in by_gateway if one["kind"] == "HTTPRoute"]
    assert route["spec"]["rules"][0]["backendRefs"] == [{"name": name, "port": app}]

    # Nowhere a published one is left where another was chosen.
    said = set(words(objects))
    for option, published in (
        ("name", {"chatbot-api-key", "chatbot-listener"}),
        ("app_port", {5000, "5000"}),
        ("pod_metrics_port", {9464, "9464"}),
    ):
        assert option not in given or not said & published
