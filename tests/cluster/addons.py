"""CoreDNS and metrics-server: processes of this machine behind Services without selectors."""

from __future__ import annotations

from typing import Any

from tests.cluster.control_plane import ControlPlane
from tests.cluster.network import Plan
from tests.cluster.processes import Processes, answers
from tests.cluster.programs import program
from tests.cluster.rest import Rest
from tests.ports import free_port

COREFILE = """\
. {{
  bind {address}
  ready {address}:{port}
  errors
  cache 5
  kubernetes cluster.local in-addr.arpa {{
    kubeconfig {kubeconfig}
    ttl 5
  }}
}}
"""
SYSTEM = "/api/v1/namespaces/kube-system"
DNS_PORTS = [
    {"name": "dns", "port": 53, "protocol": "UDP"},
    {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
]
METRICS_PORT = 4443


def start_dns(plan: Plan, plane: ControlPlane, processes: Processes, rest: Rest) -> None:
    """CoreDNS on the bridge's address for it, at the address that kubelets give to pods."""
    port = free_port()
    # Its own kubeconfig would need roles; this one reads everything anyway.
    settings = {"address": plan.dns, "port": port, "kubeconfig": plane.kubeconfig}
    file = plane.folder / "Corefile"
    file.write_text(COREFILE.format(**settings))
    command = [str(program("coredns")), "-conf", str(file)]
    processes.start("coredns", command, lambda: answers(f"http://{plan.dns}:{port}/ready"))
    _publish(rest, "kube-dns", plan.dns, DNS_PORTS, DNS_PORTS, plan.dns_service)


def start_metrics(plan: Plan, plane: ControlPlane, processes: Processes, rest: Rest) -> None:
    """metrics-server, as the API's group metrics.k8s.io; its first figures take a while."""
    settings = {
        "kubeconfig": plane.kubeconfig,
        "authentication-kubeconfig": plane.kubeconfig,
        "authorization-kubeconfig": plane.kubeconfig,
        "bind-address": plan.metrics,
        "secure-port": METRICS_PORT,
        "cert-dir": plane.folder / "metrics-server",
        "kubelet-insecure-tls": "true",
        "kubelet-preferred-address-types": "InternalIP",
        "metric-resolution": "10s",
        # Has to be less.
        "kubelet-request-timeout": "5s",
    }
    processes.start(
        "metrics-server",
        [str(program("metrics-server")), *(f"--{key}={value}" for key, value in settings.items())],
    )
    port = {"name": "https", "protocol": "TCP"}
    _publish(rest, "metrics-server", plan.metrics, [port | {"port": 443}], [port | {"port": METRICS_PORT}])
    name = "v1beta1.metrics.k8s.io"
    service = {"name": "metrics-server", "namespace": "kube-system", "port": 443}
    spec: dict[str, Any] = {"group": "metrics.k8s.io", "version": "v1beta1", "service": service}
    spec |= {"insecureSkipTLSVerify": True, "groupPriorityMinimum": 100, "versionPriority": 100}
    rest.apply(
        f"/apis/apiregistration.k8s.io/v1/apiservices/{name}",
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": name},
            "spec": spec,
        },
    )


def _publish(
    rest: Rest,
    name: str,
    address: str,
    ports: list[dict[str, Any]],
    targets: list[dict[str, Any]],
    cluster_ip: str = "",
) -> None:
    """A Service that leads to this address."""
    service: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": {"k8s-app": name}},
        "spec": {"ports": ports, **({"clusterIP": cluster_ip} if cluster_ip else {})},
    }
    rest.apply(f"{SYSTEM}/services/{name}", service)
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{name}-1", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": targets,
    }
    rest.apply(f"/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/{name}-1", endpoints)
