"""A site's router as a pod: Deployment `skupper-router`, with the labels and containers of the real one."""

from __future__ import annotations

from typing import Any

from ..kube import Object
from ..model.kinds import spec_of
from .parts import CONTROLLED, SELECTOR
from .runners import ALMOST, INCOMPLETE, UNREADY, Runner
from .sites import LOCAL_PORT, ROUTER
from .world import owner

FOLDER = "/run/router"
MODULE = "tests.standins.skupper.router"
LABELS = {**SELECTOR, "skupper.io/group": ROUTER}
# The image names no user; any will do.
USER = 10000


def _container(name: str, image: str, *words: str, **more: Any) -> Object:
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-m", *words],
        "env": [
            {"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {"name": "SSL_PROFILE_BASE_PATH", "value": FOLDER},
        ],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "router", "mountPath": FOLDER}],
        **more,
    }


class PodRouters(Runner):
    """Routers as pods."""

    listen_host = "0.0.0.0"

    def endpoints(self, secured: Object, service: Object, type_: str) -> list[Object]:
        """By the type of access: the load balancer's address, a node's, or the Service's name."""
        metadata = secured["metadata"]
        if type_ == "loadbalancer":
            found = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
            host = next((one.get("ip") or one.get("hostname") or "" for one in found), "")
        else:
            local = f"{metadata['name']}.{metadata['namespace']}"
            host = self.options.cluster_host if type_ == "nodeport" else local
        port = "nodePort" if type_ == "nodeport" else "port"
        ports = service["spec"]["ports"]
        return [{"name": one["name"], "host": host, "port": str(one[port])} for one in ports] if host else []

    def ensure(self, namespace: str) -> None:
        """Have a Deployment for a site that has none."""
        site = self.active_site(namespace)
        if site is None:
            return
        for one in self._objects(namespace, site):
            self.world.ensure(one)
        self.pod_changed(namespace)

    def _objects(self, namespace: str, site: Object) -> list[Object]:
        metadata = {
            "name": ROUTER,
            "namespace": namespace,
            "annotations": dict(CONTROLLED),
            "ownerReferences": owner(site),
        }
        rules = [
            {
                "apiGroups": [""],
                "resources": ["configmaps"],
                "verbs": ["get", "create", "patch"],
            },
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
        ]
        group = "rbac.authorization.k8s.io"
        role = {"apiGroup": group, "kind": "Role", "name": ROUTER}
        account = {"kind": "ServiceAccount", "name": ROUTER, "namespace": namespace}
        return [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": dict(metadata)},
            {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": dict(metadata), "rules": rules},
            {
                "apiVersion": f"{group}/v1",
                "kind": "RoleBinding",
                "metadata": dict(metadata),
                "roleRef": role,
                "subjects": [account],
            },
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {**metadata, "labels": dict(LABELS)},
                "spec": self._deployment(site),
            },
        ]

    def _deployment(self, site: Object) -> Object:
        image, fast = self.options.router_image, ["--fast"] if self.options.fast else []
        ready = {
            "exec": {"command": ["test", "-f", f"{FOLDER}/network.json"]},
            "periodSeconds": 1 if self.options.fast else 10,
        }
        ports = [
            {"name": "inter-router", "containerPort": 55671},
            {"name": "edge", "containerPort": 45671},
            {"name": "amqps", "containerPort": LOCAL_PORT},
        ]
        adaptor = (f"{MODULE}.adaptor", "--folder", FOLDER, *fast)
        router = (MODULE, "-c", f"{FOLDER}/skrouterd.json", "--watch", "--status", f"{FOLDER}/network.json")
        pod = {
            "serviceAccountName": spec_of(site).get("serviceAccount") or ROUTER,
            "terminationGracePeriodSeconds": 5,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "runAsGroup": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "volumes": [{"name": "router", "emptyDir": {}}],
            "initContainers": [_container("config-init", image, *adaptor, "--once")],
            "containers": [
                _container("router", image, *router, readinessProbe=ready, ports=ports),
                _container("kube-adaptor", image, *adaptor),
            ],
        }
        return {
            "replicas": 1,
            "selector": {"matchLabels": dict(LABELS)},
            "template": {"metadata": {"labels": dict(LABELS)}, "spec": pod},
        }

    def pod_changed(self, namespace: str) -> None:
        """Running as the router's pods have it."""
        site = self.active_site(namespace)
        if site is None:
            return
        pods = [
            pod
            for pod in self.world.all("Pod", namespace)
            if LABELS.items() <= (pod["metadata"].get("labels") or {}).items()
            and not pod["metadata"].get("deletionTimestamp")
        ]
        states = [(pod.get("status") or {}).get("containerStatuses") or [] for pod in pods]
        if any(found and all(one.get("ready") for one in found) for found in states):
            waiting = ""
        elif any(any(one.get("ready") for one in found) for found in states):
            waiting = ALMOST
        elif any(any(one.get("started") for one in found) for found in states):
            waiting = UNREADY
        else:
            waiting = INCOMPLETE
        self.controller.sites.running(namespace, waiting)
