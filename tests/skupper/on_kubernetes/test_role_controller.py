"""Skupper's controller, installed by the role from a release's manifest."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.errors import SkupperError

from tests.skupper.modules.host import Host
from tests.skupper.on_kubernetes.cluster import Cluster
from tests.skupper.role.sites import Run, Sites

MERGE = "application/merge-patch+json"


def manifest(namespace: str, tag: str) -> str:
    """What a release's manifest has, as short as it can be."""
    labels = {"application": "skupper-controller"}
    container = {
        "name": "controller",
        "image": f"quay.io/skupper/controller:{tag}",
        "env": [{"name": "SKUPPER_ROUTER_IMAGE", "value": "quay.io/skupper/skupper-router:3.5.1"}],
    }
    pod = {"serviceAccountName": "skupper-controller", "containers": [container]}
    kind = {"plural": "probes", "singular": "probe", "kind": "Probe"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    crd = {"group": "role.example.com", "scope": "Namespaced", "names": kind, "versions": [version]}
    name = {"name": "skupper-controller", "namespace": namespace}
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    objects: list[dict[str, Any]] = [
        # Before its own kind is known: the order in the file must not matter.
        {"apiVersion": "role.example.com/v1", "kind": "Probe", "metadata": name},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": name},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": name, "spec": spec},
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "probes.role.example.com"},
            "spec": crd,
        },
    ]
    return yaml.safe_dump_all(objects)


@pytest.fixture
def available(empty: Cluster) -> Iterator[None]:
    """Says of the controller that it is available, as the node would that is not there."""
    end = threading.Event()
    path = f"/apis/apps/v1/namespaces/{empty.namespace}/deployments/skupper-controller"

    def run() -> None:
        while not end.wait(0.2):
            try:
                seen = empty.client.request("GET", path)["metadata"]["generation"]
                state = {"type": "Available", "status": "True", "reason": "Stand-in"}
                status = {"observedGeneration": seen, "replicas": 1, "conditions": [state]}
                empty.client.request("PATCH", f"{path}/status", body={"status": status}, content_type=MERGE)
            except SkupperError:
                time.sleep(0.1)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield
    end.set()
    thread.join(5)


class Installation:
    """The role's tasks for the controller, against a namespace."""

    def __init__(self, cluster: Cluster, host: Host) -> None:
        self.cluster, self.host = cluster, host
        shutil.copy(cluster.kubeconfig, host.folder / "kubeconfig")
        role = {"name": "private_ai.chatbot.skupper_site", "tasks_from": "controller.yml"}
        defaults = {"group/kubernetes.core.k8s": {"kubeconfig": str(host.folder / "kubeconfig")}}
        play = {"hosts": "all", "gather_facts": False, "module_defaults": defaults}
        tasks = [{"ansible.builtin.include_role": role}]
        (host.folder / "play.yml").write_text(json.dumps([{**play, "tasks": tasks}]))
        self.sites = Sites(host, {"cluster": {"skupper_site_namespace": cluster.namespace}})

    def install(self, tag: str, *arguments: str, namespace: str = "", **more: Any) -> Run:
        """Run them with the manifest of a release."""
        file = self.host.folder / "manifest.yaml"
        file.write_text(manifest(namespace or self.cluster.namespace, tag))
        variables = {
            "skupper_site_controller_source": "manifest",
            "skupper_site_controller_manifest": str(file),
            "skupper_site_controller_manifest_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "skupper_site_controller_scope": "namespace",
            "skupper_site_image_registry": "registry.example.com/skupper",
            "skupper_site_image_pull_secret": "registry",
            **more,
        }
        return self.sites.playbook(str(self.host.folder / "play.yml"), *arguments, cluster=variables)

    def deployed(self) -> Any:
        """The controller's container."""
        path = f"/apis/apps/v1/namespaces/{self.cluster.namespace}/deployments/skupper-controller"
        return self.cluster.client.request("GET", path)["spec"]["template"]["spec"]["containers"][0]


@pytest.fixture
def installation(empty: Cluster, tmp_path: Path) -> Iterator[Installation]:
    """What installs the controller into a namespace."""
    host = Host(tmp_path)
    yield Installation(empty, host)
    host.stop()


def test_from_a_manifest(empty: Cluster, available: None, installation: Installation) -> None:
    install, deployed = installation.install, installation.deployed
    before = empty.fingerprint()
    wrong = "0" * 64
    install("2.2.1", skupper_site_controller_manifest_sha256=wrong).refused(
        f"is {wrong}; nothing was changed"
    )
    install("2.2.1", skupper_site_controller_scope="cluster").refused("belongs into skupper")
    # Into a namespace that is not there.
    nowhere = f"{empty.namespace}-not"
    predicted = install("2.2.1", "--check", namespace=nowhere, skupper_site_namespace=nowhere)
    assert predicted.fine().changed > 0
    assert empty.fingerprint() == before

    assert install("2.2.1").fine().changed > 0
    assert deployed()["image"] == "registry.example.com/skupper/controller:2.2.1"
    assert deployed()["env"][0]["value"] == "registry.example.com/skupper/skupper-router:3.5.1"
    path = f"/api/v1/namespaces/{empty.namespace}/serviceaccounts/skupper-controller"
    assert empty.client.request("GET", path)["imagePullSecrets"] == [{"name": "registry"}]
    assert install("2.2.1").fine().changed == 0

    # Upgraded where it is, with a router's image of one's own.
    mine = {"skupper_site_router_image": "registry.example.com/mine:1"}
    assert install("2.2.4", **mine).fine().changed == 1
    assert deployed()["image"].endswith("controller:2.2.4")
    assert deployed()["env"][0]["value"] == "registry.example.com/mine:1"


@pytest.mark.extended
def test_a_controller_that_does_not_serve_is_waited_for_in_vain(installation: Installation) -> None:
    installation.install("2.2.1", skupper_site_wait_timeout=2).refused("Controller | It serves")
    assert installation.deployed()["image"].endswith("controller:2.2.1")
