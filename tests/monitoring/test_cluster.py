"""The public site's monitoring on a real Kubernetes API, with and without the Prometheus operator's kinds.

The definitions of these kinds are short ones of our own: the fields that are used here, with the operator's
names and types. Nothing scrapes by them; what the rules find is tried in test_rules.py and test_queries.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.fixtures import Api, api
from tests.monitoring.conftest import run_tasks
from tests.playbook import ROOT
from tests.standins.skupper import charts

__all__ = ["api"]
NAMESPACE = "t-monitoring"
LABELS = {"type": "object", "additionalProperties": {"type": "string"}}
ENDPOINTS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "port": {"type": "string"},
            "relabelings": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"targetLabel": {"type": "string"}, "replacement": {"type": "string"}},
                },
            },
        },
    },
}
SELECTOR = {"type": "object", "properties": {"matchLabels": LABELS}}
RULE = {
    "type": "object",
    "required": ["alert", "expr"],
    "properties": {
        "alert": {"type": "string"},
        "expr": {"type": "string"},
        "for": {"type": "string"},
        "labels": LABELS,
        "annotations": LABELS,
    },
}
GROUP = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "rules": {"type": "array", "items": RULE}},
}
KINDS: dict[str, dict[str, Any]] = {
    "PodMonitor": {"selector": SELECTOR, "podMetricsEndpoints": ENDPOINTS},
    "ServiceMonitor": {"selector": SELECTOR, "endpoints": ENDPOINTS},
    "PrometheusRule": {"groups": {"type": "array", "items": GROUP}},
}


def definition(kind: str) -> dict[str, Any]:
    """The definition of a kind."""
    plural = f"{kind.lower()}s"
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": KINDS[kind]}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.monitoring.coreos.com"},
        "spec": {
            "group": "monitoring.coreos.com",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "scope": "Namespaced",
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }


class Cluster:
    """The API server, asked by Ansible's own modules."""

    def __init__(self, folder: Path, kubeconfig: Path) -> None:
        self.folder, self.kubeconfig = folder, str(kubeconfig)

    def apply(self, *objects: dict[str, Any], wait: bool = False) -> None:
        module = {"kubeconfig": self.kubeconfig, "definition": list(objects), "wait": wait}
        run_tasks(self.folder, [{"kubernetes.core.k8s": module}])

    def monitor(self, *arguments: str, **variables: Any) -> str:
        """Run this part of the role."""
        role = {"name": "private_ai.chatbot.public_chatbot", "tasks_from": "kubernetes/monitoring.yml"}
        given = {
            "public_chatbot_namespace": NAMESPACE,
            "public_chatbot_monitoring_labels": {"release": "prometheus"},
            "public_chatbot_monitoring_dashboard_labels": {"grafana_dashboard": "1"},
            "public_chatbot_monitoring_limits": {"queue_length": 7},
            **variables,
        }
        connection = {"kubeconfig": self.kubeconfig}
        defaults = {
            "group/private_ai.chatbot.kubernetes": connection,
            "group/kubernetes.core.k8s": connection,
        }
        task = {"ansible.builtin.include_role": role, "vars": given}
        return run_tasks(self.folder, [{"block": [task], "module_defaults": defaults}], *arguments)

    def role(self, **variables: Any) -> str:
        """Run the whole role; there are no nodes, so nothing becomes ready."""
        given = {
            "public_chatbot_kubernetes": {"kubeconfig": self.kubeconfig},
            "public_chatbot_namespace": NAMESPACE,
            "public_chatbot_image": "registry.example.com/chat/chatbot@sha256:" + "0" * 64,
            "public_chatbot_api_key": "a-key-of-the-test-alone",
            "public_chatbot_exposure": "none",
            "public_chatbot_wait": False,
            "public_chatbot_monitoring": True,
            **variables,
        }
        role = {"name": "private_ai.chatbot.public_chatbot"}
        return run_tasks(self.folder, [{"ansible.builtin.include_role": role, "vars": given}])

    def found(
        self, kind: str, version: str = "monitoring.coreos.com/v1", prefix: str = "private-ai"
    ) -> list[dict[str, Any]]:
        """The objects of a kind in the namespace."""
        module = {"kubeconfig": self.kubeconfig, "api_version": version, "kind": kind, "namespace": NAMESPACE}
        target = self.folder / "found.json"
        run_tasks(
            self.folder,
            [
                {"kubernetes.core.k8s_info": module, "register": "found"},
                {"ansible.builtin.copy": {"content": "{{ found.resources | to_json }}", "dest": str(target)}},
            ],
        )
        listed: list[dict[str, Any]] = json.loads(target.read_text())
        return [one for one in listed if one["metadata"]["name"].startswith(prefix)]


@pytest.fixture(scope="module")
def cluster(api: Api, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """A namespace of its own."""
    made = Cluster(tmp_path_factory.mktemp("cluster"), api.kubeconfig)
    made.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    return made


def test_with_and_without_the_operator(cluster: Cluster) -> None:
    cluster.monitor()
    assert [one["metadata"]["name"] for one in cluster.found("ConfigMap", "v1")] == ["private-ai-dashboard"]

    cluster.apply(*(definition(kind) for kind in KINDS), wait=True)
    predicted = cluster.monitor("--check")
    assert "changed=1" in predicted
    assert not cluster.found("PrometheusRule")
    cluster.monitor()
    assert "changed=0" in cluster.monitor()
    (rules,) = cluster.found("PrometheusRule")
    (group,) = rules["spec"]["groups"]
    source = (ROOT / "roles/private_model/templates/monitoring/rules.yml.j2").read_text()
    assert len(group["rules"]) == source.count("- alert: ")
    (long,) = [rule for rule in group["rules"] if rule["alert"] == "PrivateAiQueueLong"]
    assert long["expr"].endswith("chatbot_gateway_queued > 7")
    assert long["annotations"]["summary"] == "{{ $value }} requests wait for the model"
    (pods,) = cluster.found("PodMonitor")
    assert pods["spec"]["podMetricsEndpoints"][0]["port"] == "metrics"
    assert pods["metadata"]["labels"]["release"] == "prometheus"
    (van,) = cluster.found("ServiceMonitor")
    observer = charts.observer_metrics("skupper-network-observer")
    assert van["spec"]["selector"]["matchLabels"].items() <= observer["metadata"]["labels"].items()
    assert van["spec"]["endpoints"][0]["port"] in [port["name"] for port in observer["spec"]["ports"]]

    metadata = {"name": "private-ai", "namespace": NAMESPACE}
    emptied = {"groups": [{"name": group["name"], "rules": []}]}
    kind = {"apiVersion": rules["apiVersion"], "kind": rules["kind"]}
    cluster.apply({**kind, "metadata": metadata, "spec": emptied})
    assert "changed=1" in cluster.monitor()
    assert cluster.found("PrometheusRule")[0]["spec"]["groups"][0]["rules"]

    cluster.monitor(public_chatbot_state="absent")
    assert not cluster.found("PrometheusRule")
    assert not cluster.found("ConfigMap", "v1")


@pytest.mark.extended
def test_the_whole_role_with_monitoring(cluster: Cluster) -> None:
    cluster.apply(*(definition(kind) for kind in KINDS), wait=True)
    cluster.role()
    assert "changed=0" in cluster.role()
    (pods,) = cluster.found("PodMonitor")
    (chatbot,) = cluster.found("Deployment", "apps/v1", prefix="chatbot")
    # What is scraped are the pods that were made, by a port that they have.
    template = chatbot["spec"]["template"]
    assert pods["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    (container,) = template["spec"]["containers"]
    (endpoint,) = pods["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] in [port["name"] for port in container["ports"]]
    assert cluster.found("PrometheusRule") and cluster.found("ConfigMap", "v1")

    assert "failed=0" in cluster.role(public_chatbot_state="absent")
    assert not cluster.found("PodMonitor") and not cluster.found("Deployment", "apps/v1", prefix="chatbot")
    assert "changed=0" in cluster.role(public_chatbot_state="absent")
