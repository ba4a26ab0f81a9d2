"""Skupper's controller and observer from Helm charts: real Helm and API server, stand-ins of the charts.

TEST_HELM names a Helm that is there; without it one is built.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.fixtures import Api, serve
from tests.cluster.programs import program
from tests.skupper.modules.agent_client import Agent
from tests.skupper.modules.host import Host
from tests.skupper.on_kubernetes.cluster import Cluster
from tests.skupper.role.sites import Run, Sites
from tests.standins.skupper import charts

REGISTRY = "registry.example.com/skupper"


@pytest.fixture(scope="module")
def whole() -> Iterator[Api]:
    """An API with Kubernetes' controllers: Helm waits for what they make of a Deployment."""
    yield from serve(controllers=True)


@pytest.fixture
def space(whole: Api, agent: Agent) -> Iterator[Cluster]:
    """A namespace whose pods are ready at once."""
    one = Cluster(whole, agent, f"t{time.time_ns()}")
    one.client.request("POST", "/api/v1/namespaces", body={"metadata": {"name": one.namespace}})
    with charts.ready(one.client):
        yield one
    for name in (one.namespace, f"{one.namespace}-skupper"):
        if name in namespaces(one):
            one.client.request("DELETE", f"/api/v1/namespaces/{name}")


def namespaces(space: Cluster) -> list[str]:
    """The names of all namespaces."""
    return [one["metadata"]["name"] for one in space.client.request("GET", "/api/v1/namespaces")["items"]]


class Charts:
    """Runs a file of the role's tasks with a chart."""

    def __init__(self, space: Cluster, host: Host) -> None:
        self.space, self.host = space, host
        shutil.copy(space.kubeconfig, host.folder / "kubeconfig")
        helm = os.environ.get("TEST_HELM") or str(program("helm"))
        host.environ["PATH"] = f"{Path(helm).parent}:{host.environ['PATH']}"
        self.sites = Sites(host, {"cluster": {"skupper_site_namespace": space.namespace}})

    def run(self, file: str, *arguments: str, **variables: Any) -> Run:
        """Run it."""
        kubeconfig = {"kubeconfig": str(self.host.folder / "kubeconfig")}
        role = {"name": "private_ai.chatbot.skupper_site", "tasks_from": file}
        play = {
            "hosts": "all",
            "gather_facts": False,
            # What tasks/main.yml gives all modules.
            "module_defaults": {"group/kubernetes.core.k8s": kubeconfig, "kubernetes.core.helm": kubeconfig},
            "tasks": [{"ansible.builtin.include_role": role}],
        }
        path = self.host.folder / "play.yml"
        path.write_text(json.dumps([play]))
        return self.sites.playbook(str(path), *arguments, cluster=variables)

    def controller(self, version: str, *arguments: str, **more: Any) -> Run:
        """Run what installs the controller."""
        chart = str(charts.write(self.host.folder, "skupper", version))
        source = {
            "skupper_site_controller_source": "helm",
            "skupper_site_controller_chart": chart,
            "skupper_site_controller_chart_version": version,
            "skupper_site_controller_scope": "namespace",
        }
        return self.run("controller.yml", *arguments, **{**source, **more})

    def observer(self, version: str, *arguments: str, **more: Any) -> Run:
        """Run what installs the network observer."""
        chart = str(charts.write(self.host.folder, "network-observer", version))
        source = {"skupper_site_observer_chart": chart, "skupper_site_observer_chart_version": version}
        return self.run("observer.yml", *arguments, **{**source, "skupper_site_observer": True, **more})

    def get(self, path: str, namespace: str = "") -> Any:
        """An object of a namespace."""
        core = path.split("/", 1)[0] in ("pods", "configmaps", "secrets", "services")
        group = "/api/v1" if core else "/apis/apps/v1"
        return self.space.client.request(
            "GET", f"{group}/namespaces/{namespace or self.space.namespace}/{path}"
        )


@pytest.fixture
def helm(space: Cluster, tmp_path: Path) -> Iterator[Charts]:
    """The role before a cluster without Skupper."""
    host = Host(tmp_path)
    yield Charts(space, host)
    host.stop()


def container(deployment: Any) -> tuple[str, dict[str, str]]:
    """The image of a Deployment, and its environment."""
    one = deployment["spec"]["template"]["spec"]["containers"][0]
    return one["image"], {each["name"]: each["value"] for each in one["env"]}


def test_the_controller(helm: Charts, space: Cluster) -> None:
    before = space.writes()
    assert helm.controller("2.2.1", "--check").fine().changed == 1
    assert space.writes() == before, "check mode wrote something"

    assert helm.controller("2.2.1").fine().changed == 1
    deployed = helm.get("deployments/skupper-controller")
    image, environment = container(deployed)
    assert image == "quay.io/skupper/controller:2.2.1"
    assert environment["SKUPPER_ROUTER_IMAGE"] == f"quay.io/skupper/skupper-router:{charts.ROUTER}"
    assert helm.get("configmaps/skupper")["data"] == {"controller": "skupper-controller"}
    assert space.client.request("GET", "/apis/chart.example.com/v1")["resources"]
    before = space.writes()
    assert helm.controller("2.2.1", "--check").fine().changed == 0
    assert helm.controller("2.2.1").fine().changed == 0 and space.writes() == before

    # Upgraded where it is, with other values.
    chosen = {"skupper_site_controller_values": {"enabledAccessTypes": "nodeport", "clusterHost": "10.0.0.1"}}
    assert helm.controller("2.2.4", "--check", **chosen).fine().changed == 1 and space.writes() == before
    assert helm.controller("2.2.4", **chosen).fine().changed == 1
    upgraded = helm.get("deployments/skupper-controller")
    image, environment = container(upgraded)
    assert image.endswith(":2.2.4") and upgraded["metadata"]["uid"] == deployed["metadata"]["uid"]
    assert environment["SKUPPER_CLUSTER_HOST"] == "10.0.0.1"
    assert environment["SKUPPER_ENABLED_ACCESS_TYPES"] == "nodeport"
    assert helm.controller("2.2.4", **chosen).fine().changed == 0


def test_the_controller_from_a_private_registry(helm: Charts, space: Cluster) -> None:
    there = f"{space.namespace}-skupper"
    options: dict[str, Any] = {
        "skupper_site_controller_scope": "cluster",
        "skupper_site_controller_namespace": there,
        "skupper_site_image_registry": REGISTRY,
        "skupper_site_image_pull_secret": "registry",
    }
    predicted = helm.controller("2.2.1", "--check", **options).fine()
    assert there not in namespaces(space), "check mode wrote something"
    # The account with its namespace, and the release.
    assert helm.controller("2.2.1", **options).fine().changed == predicted.changed == 2
    image, environment = container(helm.get("deployments/skupper-controller", there))
    assert image == f"{REGISTRY}/controller:2.2.1"
    assert environment["SKUPPER_ROUTER_IMAGE"] == f"{REGISTRY}/skupper-router:{charts.ROUTER}"
    assert environment["SKUPPER_KUBE_ADAPTOR_IMAGE"] == f"{REGISTRY}/kube-adaptor:2.2.1"
    # The first pod of all has the credentials.
    assert [one["spec"]["imagePullSecrets"] for one in helm.get("pods", there)["items"]] == [
        [{"name": "registry"}]
    ]
    assert helm.controller("2.2.1", **options).fine().changed == 0

    mine = {**options, "skupper_site_router_image": "registry.example.com/mine:1"}
    assert helm.controller("2.2.4", **mine).fine().changed == 1
    image, environment = container(helm.get("deployments/skupper-controller", there))
    assert image == f"{REGISTRY}/controller:2.2.4"
    assert environment["SKUPPER_ROUTER_IMAGE"] == "registry.example.com/mine:1"
    assert helm.controller("2.2.4", **mine).fine().changed == 0


def test_the_network_observer(helm: Charts, space: Cluster) -> None:
    options = {"skupper_site_image_registry": REGISTRY, "skupper_site_image_pull_secret": "registry"}
    before = space.writes()
    assert helm.observer("2.2.1", "--check", **options).fine().changed == 1
    assert space.writes() == before, "check mode wrote something"
    assert helm.observer("2.2.1", **options).fine().changed == 1
    deployed = helm.get("deployments/skupper-network-observer")
    assert container(deployed) == (f"{REGISTRY}/network-observer:2.2.1", {"STRATEGY": "basic"})
    assert deployed["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    # What the ServiceMonitor of role public_chatbot is told to find (tests/monitoring).
    figures = charts.observer_metrics("skupper-network-observer")
    made = helm.get("services/skupper-network-observer-metrics")
    assert figures["metadata"]["labels"].items() <= made["metadata"]["labels"].items()
    assert made["spec"]["ports"][0].items() >= figures["spec"]["ports"][0].items()
    before = space.writes()
    assert helm.observer("2.2.1", **options).fine().changed == 0 and space.writes() == before
    own = {**options, "skupper_site_observer_auth_secret": "who-may-look"}
    assert helm.observer("2.2.4", **own).fine().changed == 1
    upgraded = helm.get("deployments/skupper-network-observer")
    assert upgraded["metadata"]["uid"] == deployed["metadata"]["uid"]
    assert container(upgraded)[0].endswith(":2.2.4")
    assert upgraded["spec"]["template"]["spec"]["volumes"][0]["secret"]["secretName"] == "who-may-look"
    assert helm.observer("2.2.4", **own).fine().changed == 0
