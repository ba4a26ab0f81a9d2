"""What tests do with a cluster: objects, waits, commands in pods, drains."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import NotFoundError
from kubernetes.stream import stream

from tests.cluster.facts import Facts
from tests.cluster.node import PROBE_IMAGE, load

CRDS = Path(__file__).resolve().parent / "crds"
MANAGER = "test"
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    status: int
    output: str


def load_image(facts: Facts, name: str) -> None:
    """Give an image of Podman to both nodes; RuntimeError when it is not there or not taken."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "image.tar")
        saved = subprocess.run(
            ["podman", "save", "--quiet", "--output", str(archive), name],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if saved.returncode:
            raise RuntimeError(f"podman save {name}: {saved.stderr.strip()}")
        for pid in facts.pids.values():
            load(archive, Path(f"/proc/{pid}/root/run/containerd/containerd.sock"))


class Cluster:
    """A running cluster. `facts` is None for one that is not ours."""

    def __init__(self, kubeconfig: Path, facts: Facts | None) -> None:
        self.kubeconfig, self.facts = kubeconfig, facts
        self.client = config.new_client_from_config(str(kubeconfig))
        self.core = client.CoreV1Api(self.client)
        self.apps = client.AppsV1Api(self.client)
        self.probe_image = PROBE_IMAGE
        self._dynamic = DynamicClient(self.client)

    @property
    def own(self) -> Facts:
        """What is known of a cluster of ours; skips the test on another one."""
        if self.facts is None:
            pytest.skip("TEST_KUBECONFIG names a cluster whose network and nodes are not ours")
        return self.facts

    def load_image(self, name: str) -> None:
        """Give an image of Podman to both nodes; on a cluster that is not ours, it must be there already."""
        if self.facts:
            load_image(self.facts, name)

    # Objects

    def _resource(self, api_version: str, kind: str) -> Any:
        return self._dynamic.resources.get(api_version=api_version, kind=kind)

    def apply(self, *objects: dict[str, Any]) -> None:
        """Make or change objects by server-side apply."""
        for one in objects:
            resource = self._resource(one["apiVersion"], one["kind"])
            metadata = one["metadata"]
            resource.server_side_apply(
                body=one,
                name=metadata["name"],
                namespace=metadata.get("namespace"),
                field_manager=MANAGER,
                force_conflicts=True,
            )

    def get(
        self, api_version: str, kind: str, name: str, namespace: str | None = None
    ) -> dict[str, Any] | None:
        """An object, or None."""
        try:
            found = self._resource(api_version, kind).get(name=name, namespace=namespace)
        except NotFoundError:
            return None
        return dict(found.to_dict())

    def remove(self, *objects: dict[str, Any]) -> None:
        """Delete objects and wait until they are gone."""
        for one in objects:
            kind, metadata = (one["apiVersion"], one["kind"]), one["metadata"]
            name, namespace = metadata["name"], metadata.get("namespace")
            try:
                self._resource(*kind).delete(name=name, namespace=namespace)
            except NotFoundError:
                continue
            self._gone(kind, name, namespace)

    def _gone(self, kind: tuple[str, str], name: str, namespace: str | None) -> None:
        self.until(lambda: self.get(*kind, name, namespace) is None, f"{kind[1]} {name} is gone")

    @contextmanager
    def namespace(self, restricted: bool = True, name: str = "") -> Iterator[str]:
        """A new namespace, deleted afterwards; with a name only where something knows it by that."""
        name = name or f"test-{uuid.uuid4().hex[:8]}"
        labels = {"pod-security.kubernetes.io/enforce": "restricted"} if restricted else {}
        self.core.create_namespace({"metadata": {"name": name, "labels": labels}})
        try:
            # Without it, no pod is admitted.
            self.until(
                lambda: self.get("v1", "ServiceAccount", "default", name), "the namespace has its account"
            )
            yield name
        finally:
            self.core.delete_namespace(name)

    @contextmanager
    def crds(self, name: str) -> Iterator[None]:
        """The kinds in crds/<name>.yaml; not always there, since roles decide by them where they are."""
        found = list(yaml.safe_load_all((CRDS / f"{name}.yaml").read_text()))
        self.apply(*found)
        try:
            for one in found:
                self.until(partial(self._listed, one), "the kinds are served")
            self._dynamic.resources.invalidate_cache()
            yield
        finally:
            self.remove(*found)
            self._dynamic.resources.invalidate_cache()

    def established(self, name: str) -> bool:
        """Whether the API server serves the kind that a definition names."""
        found = self.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", name) or {}
        # Null, as long as nobody has looked at it.
        conditions = (found.get("status") or {}).get("conditions") or []
        return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)

    def _listed(self, definition: dict[str, Any]) -> bool:
        """Whether it is, and is found by who asks what is served, which comes a little later."""
        spec = definition["spec"]
        group, version = spec["group"], spec["versions"][0]["name"]
        if not self.established(definition["metadata"]["name"]):
            return False
        if group not in {one.name for one in client.ApisApi(self.client).get_api_versions().groups}:
            return False
        try:
            there = client.CustomObjectsApi(self.client).get_api_resources(group, version)
        except ApiException as error:
            if error.status != 404:
                raise
            return False
        return spec["names"]["kind"] in {one.kind for one in there.resources}

    # Waits

    def until(self, check: Callable[[], Any], what: str, seconds: float = 60) -> Any:
        """What `check` returns as soon as that is true; the test fails when it never is."""
        end = time.monotonic() + seconds
        while True:
            found = check()
            if found:
                return found
            if time.monotonic() > end:
                pytest.fail(f"after {seconds:.0f} s it is not true that {what}; last: {found!r}")
            time.sleep(0.2)

    def available(self, namespace: str, deployment: str, seconds: float = 120) -> None:
        """Wait until all replicas of a Deployment's newest revision are there, and only they."""

        def rolled_out() -> bool:
            found = self.apps.read_namespaced_deployment(deployment, namespace)
            status, wanted = found.status, found.spec.replicas
            counts = (status.updated_replicas, status.available_replicas, status.replicas)
            return bool(
                status.observed_generation == found.metadata.generation and counts == (wanted,) * 3
            ) or (wanted == 0 and not status.replicas)

        self.until(rolled_out, f"{deployment} in {namespace} is rolled out; see `kubectl describe`", seconds)

    # Pods

    def start_probe(
        self,
        namespace: str,
        name: str,
        labels: dict[str, str] | None = None,
        node: str | None = None,
        ports: tuple[int, ...] = (8080,),
    ) -> str:
        """Start a restricted pod that serves and asks (tests/cluster/probe); returns its address.

        :param ports: where it serves; the first is called http.
        """
        container = {
            "name": "probe",
            "image": self.probe_image,
            "imagePullPolicy": "IfNotPresent",
            "args": ["serve", *(f":{port}" for port in ports)],
            "ports": [{"name": "http", "containerPort": ports[0]}],
            "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
            "securityContext": RESTRICTED,
        }
        spec = {"containers": [container], "terminationGracePeriodSeconds": 1}
        if node:
            spec["nodeSelector"] = {"kubernetes.io/hostname": node}
        self.core.create_namespaced_pod(
            namespace, {"metadata": {"name": name, "labels": labels or {}}, "spec": spec}
        )

        def ready() -> bool:
            status = self.core.read_namespaced_pod(name, namespace).status
            return any(one.type == "Ready" and one.status == "True" for one in status.conditions or [])

        self.until(ready, f"pod {name} in {namespace} is Ready")
        return str(self.core.read_namespaced_pod(name, namespace).status.pod_ip)

    def run(self, namespace: str, pod: str, arguments: list[str], seconds: int = 60) -> Done:
        """Run the program of a probe pod in it."""
        return self.exec(namespace, pod, ["/probe", *arguments], seconds)

    def exec(self, namespace: str, pod: str, command: list[str], seconds: int = 60) -> Done:
        """Run a command in a pod."""
        # The library changes the client that it streams with.
        core = client.CoreV1Api(config.new_client_from_config(str(self.kubeconfig)))
        session = stream(
            core.connect_get_namespaced_pod_exec,
            pod,
            namespace,
            command=command,
            stdin=False,
            stdout=True,
            stderr=True,
            tty=False,
            _preload_content=False,
        )
        session.run_forever(timeout=seconds)
        output = session.read_stdout() + session.read_stderr()
        if session.is_open():
            session.close()
            return Done(124, output)
        return Done(session.returncode, output)

    # Nodes

    def drain(self, node: str, seconds: float = 120) -> None:
        """Move every pod off a node by evictions, which respect disruption budgets."""
        self.core.patch_node(node, {"spec": {"unschedulable": True}})

        def empty() -> bool:
            pods = self.core.list_pod_for_all_namespaces(field_selector=f"spec.nodeName={node}").items
            for pod in pods:
                owners = [owner.kind for owner in pod.metadata.owner_references or []]
                if not pod.metadata.deletion_timestamp and "DaemonSet" not in owners:
                    self._evict(pod.metadata.namespace, pod.metadata.name)
            return not pods

        self.until(empty, f"no pod is left on {node}", seconds)

    def _evict(self, namespace: str, name: str) -> None:
        body = {"metadata": {"name": name, "namespace": namespace}}
        try:
            self.core.create_namespaced_pod_eviction(name, namespace, body)
        except ApiException as error:
            # 429: the budget says not now; 404: it went by itself.
            if error.status not in (404, 429):
                raise

    def uncordon(self, node: str) -> None:
        """Let a node take pods again."""
        self.core.patch_node(node, {"spec": {"unschedulable": None}})


@contextmanager
def started(folder: Path, *options: str) -> Iterator[Cluster]:
    """A cluster of ours, gone afterwards, and also when this process is killed.

    :param options: further ones of `python -m tests.cluster serve`.
    """
    command = [sys.executable, "-m", "tests.cluster", "serve", "--folder", str(folder), *options]
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        command, cwd=root, stdin=subprocess.PIPE, start_new_session=True, stderr=sys.__stderr__
    )
    try:
        facts = folder / "cluster.json"
        while not facts.exists():
            if process.poll() is not None:
                raise RuntimeError(f"the cluster did not start: {' '.join(command)}")
            time.sleep(0.1)
        yield Cluster(folder / "kubeconfig", Facts.read(facts))
    finally:
        # The end of its input is the end of the cluster, as it is when we are killed.
        assert process.stdin
        process.stdin.close()
        process.wait(120)


def given() -> Cluster | None:
    """The cluster that TEST_KUBECONFIG names, with its facts if `make cluster` made it."""
    path = os.environ.get("TEST_KUBECONFIG")
    if not path:
        return None
    try:
        facts: Facts | None = Facts.read(Path(path).with_name("cluster.json"))
    except FileNotFoundError:
        facts = None
    return Cluster(Path(path), facts)
