"""The pod that an ingress controller is to whoever looks for its address; no node runs it."""

from __future__ import annotations

from tests.cluster.rest import Rest


def place(name: str) -> str:
    """Where its object is, in the namespace of the controller's name."""
    return f"/api/v1/namespaces/{name}/pods/controller"


def appear(rest: Rest, name: str, address: str) -> None:
    """Make the pod with the label that the controller's chart gives it, and its namespace."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    rest.apply(f"/api/v1/namespaces/{name}", namespace)
    # No pod is admitted without it, and its controller takes a moment.
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    rest.apply(f"/api/v1/namespaces/{name}/serviceaccounts/default", account)
    metadata = {"name": "controller", "labels": {"app.kubernetes.io/name": name}}
    spec = {
        "schedulerName": "nobody",
        "automountServiceAccountToken": False,
        "containers": [{"name": "controller", "image": "stand-in"}],
    }
    rest.apply(place(name), {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    rest.set_status(place(name), {"phase": "Running", "podIP": address})
