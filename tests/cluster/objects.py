"""Objects of Kubernetes that several of these tests want."""

from __future__ import annotations

from typing import Any

from tests.cluster.cluster import RESTRICTED, Cluster

HOST = "chat.example.org"


def service(namespace: str, name: str, app: str, **spec: Any) -> dict[str, Any]:
    """A Service in front of the probes with this label."""
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    metadata = {"name": name, "namespace": namespace}
    spec = {"selector": {"app": app}, "ports": ports, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def deployment(namespace: str, name: str, image: str, replicas: int, cpu: str = "10m") -> dict[str, Any]:
    """Probes, one on each node while there are nodes enough."""
    container = {
        "name": "probe",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["serve"],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": cpu}},
        "securityContext": RESTRICTED,
    }
    labels = {"app": name}
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": labels},
        "nodeTaintsPolicy": "Honor",
    }
    pod = {
        "containers": [container],
        "topologySpreadConstraints": [spread],
        "terminationGracePeriodSeconds": 1,
    }
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def servers(cluster: Cluster, namespace: str) -> set[str]:
    """The pods behind `web`."""
    found = cluster.core.list_namespaced_pod(namespace, label_selector="app=web").items
    return {pod.metadata.name for pod in found}


def policy(namespace: str, name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"podSelector": {}, **spec},
    }


def ingress(namespace: str, annotations: dict[str, str] | None = None, **rule: Any) -> dict[str, Any]:
    path = {"path": rule.get("path", "/"), "pathType": "Prefix"}
    path["backend"] = {"service": {"name": "web", "port": {"number": 80}}}
    spec: dict[str, Any] = {"ingressClassName": rule.get("class_", "nginx")}
    spec["rules"] = [{"host": rule.get("host", HOST), "http": {"paths": [path]}}]
    if rule.get("tls"):
        spec["tls"] = [{"hosts": [HOST], "secretName": rule["tls"]}]
    metadata = {"name": rule.get("name", "web"), "namespace": namespace, "annotations": annotations or {}}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": spec}
