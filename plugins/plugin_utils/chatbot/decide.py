# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What follows from the role's variables and from the cluster, where a variable leaves it open."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from .common import OPENSHIFT, Object
from .exposure import NGINX_F5

PREFIX = "public_chatbot_"
_KINDS = {"ingress": "Ingress", "route": "Route", "gateway": "HTTPRoute"}
#: Namespaces of monitoring: the usual one of Kubernetes, and OpenShift's.
_MONITORING = ("monitoring", "openshift-monitoring", "openshift-user-workload-monitoring")
#: The routers of OpenShift, in pods and on the nodes' own network.
_ROUTERS = (
    {"network.openshift.io/policy-group": "ingress"},
    {"policy-group.network.openshift.io/host-network": ""},
)
STREAMS_METRIC = "chatbot_streams_in_flight"


def namespace_peer(name: str) -> Object:
    """Return the peer of a network policy that is every pod of a namespace."""
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


@dataclass(frozen=True)
class Decisions:
    """The role's variables without their prefix, and what they amount to on this cluster.

    :param cluster: as M(private_ai.chatbot.kubernetes_preflight) returns it; empty when it was not reached.
    """

    variables: t.Mapping[str, t.Any]
    cluster: t.Mapping[str, t.Any]
    platform: str

    def __getitem__(self, name: str) -> t.Any:
        """Return the variable public_chatbot_<name>."""
        return self.variables[PREFIX + name]

    @cached_property
    def way(self) -> str:
        """How visitors reach it."""
        if self["exposure"] != "auto":
            return str(self["exposure"])
        return "route" if self.platform == OPENSHIFT else "ingress"

    @cached_property
    def image_source(self) -> str:
        """Where the image comes from."""
        if self["image_source"] != "auto":
            return str(self["image_source"])
        if self["image"]:
            return "registry"
        return "openshift" if self.platform == OPENSHIFT else "unknown"

    @cached_property
    def tls(self) -> str:
        """Where the certificate comes from: secret, issuer, self_signed or none."""
        if self.way not in ("ingress", "route"):
            return "none"
        if self["tls"] != "auto":
            return str(self["tls"])
        if self["tls_secret"]:
            return "secret"
        if self["tls_issuer"]:
            return "issuer"
        return "self_signed" if self.way == "ingress" and self["host"] else "none"

    @cached_property
    def tls_secret(self) -> str:
        """The Secret with the certificate."""
        return "" if self.tls == "none" else str(self["tls_secret"] or f"{self['name']}-tls")

    @cached_property
    def pod_certificate(self) -> str:
        """The Secret with the certificate of the pods, "" while they speak plain HTTP."""
        if self.way != "route" or self["route_termination"] != "reencrypt":
            return ""
        return str(self["route_pod_tls_secret"] or f"{self['name']}-serving")

    @cached_property
    def ingress(self) -> t.Mapping[str, t.Any]:
        """What is known of the Ingress's class and controller."""
        found: t.Mapping[str, t.Any] = self.cluster.get("ingress") or {}
        if not self["ingress_install"]:
            return found
        its_own = found.get("controller") == NGINX_F5
        return {
            "class": self.ingress_class,
            "controller": NGINX_F5,
            "namespaces": [self["ingress_namespace"]],
            "host_network": bool((self["ingress_values"].get("controller") or {}).get("hostNetwork")),
            "addresses": found.get("addresses") if its_own else [],
        }

    @cached_property
    def ingress_class(self) -> str:
        """The class that is looked at or comes with the controller; "" when it is to be found."""
        return str(self["ingress_class"] or ("nginx" if self["ingress_install"] else ""))

    @cached_property
    def visitors(self) -> list[Object] | None:
        """The peers of a network policy from which visitors come; None when nobody does."""
        if self.way == "none":
            return None
        if self["ingress_from"]:
            return list(self["ingress_from"])
        if self.way in ("loadbalancer", "nodeport"):
            ranges = self["load_balancer_source_ranges"] if self.way == "loadbalancer" else []
            return [{"ipBlock": {"cidr": one}} for one in ranges or ["0.0.0.0/0", "::/0"]]
        if self.way == "route":
            return [{"namespaceSelector": {"matchLabels": dict(one)}} for one in _ROUTERS]
        if self.way == "gateway":
            return [namespace_peer(self["gateway_namespace"] or self["namespace"])]
        peers = [namespace_peer(one) for one in self.ingress.get("namespaces") or []]
        return peers + [{"ipBlock": {"cidr": one}} for one in self._host_networks()]

    def _host_networks(self) -> list[str]:
        if not self.ingress.get("host_network"):
            return []
        nodes = (self.cluster.get("network") or {}).get("nodes") or []
        return [f"{one}/{128 if ':' in one else 32}" for one in nodes]

    @cached_property
    def monitoring(self) -> list[Object]:
        """The peers that may read the metrics."""
        return list(self["monitoring_from"]) or [namespace_peer(one) for one in _MONITORING]

    @cached_property
    def trusted_proxies(self) -> list[str]:
        """Networks whose word on a visitor's address counts: the pods', of which only the ingress gets in."""
        if self["trusted_proxies"]:
            return list(self["trusted_proxies"])
        if self.way not in ("ingress", "route", "gateway"):
            return []
        network = self.cluster.get("network") or {}
        found = {*(network.get("pods") or []), *self._host_networks()}
        if self.way == "route":
            found |= {f"{one}/{128 if ':' in one else 32}" for one in network.get("nodes") or []}
        if not network.get("pods"):
            addresses = self.ingress.get("addresses") or []
            found |= {f"{one}/{128 if ':' in one else 32}" for one in addresses}
        return sorted(found)

    @cached_property
    def streams_metric(self) -> str:
        """The metric of open answers, "" when the cluster does not count them."""
        known = self.cluster.get("custom_metrics") or []
        return STREAMS_METRIC if f"pods/{STREAMS_METRIC}" in known else ""

    @cached_property
    def model(self) -> Object | None:
        """Where the model is when it is not behind the listener."""
        if not self["model_url"]:
            return None
        parts = urlsplit(self["model_url"] if "://" in self["model_url"] else f"http://{self['model_url']}")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return {"peers": list(self["model_to"]), "host": parts.hostname or "", "port": port}

    @cached_property
    def model_address(self) -> str:
        """HOST:PORT to which the chatbot connects for the model."""
        found = self.model or {"host": self["listener_host"], "port": self["listener_port"]}
        return f"{found['host']}:{found['port']}"

    @cached_property
    def model_url(self) -> str:
        """The model's base URL."""
        return str(self["model_url"] or f"http://{self['listener_host']}:{self['listener_port']}")

    @cached_property
    def kinds(self) -> list[str]:
        """Kinds that will be written."""
        kinds = ["ServiceAccount", "Secret", "ConfigMap", "Service", "Deployment", "PodDisruptionBudget"]
        kinds += ["NetworkPolicy"] if self["network_policies"] else []
        kinds += ["HorizontalPodAutoscaler"] if self["max_replicas"] else []
        kinds += ["ImageStream", "BuildConfig"] if self.image_source == OPENSHIFT else []
        return kinds + ([_KINDS[self.way]] if self.way in _KINDS else [])

    @cached_property
    def key_secret(self) -> dict[str, str]:
        """Name and key of the Secret with the gateway's key; whether it is ours."""
        if self["api_key_secret"] and not self["api_key"]:
            return {"name": self["api_key_secret"], "key": self["api_key_secret_key"]}
        return {"name": f"{self['name']}-api-key", "key": "api-key"}

    @cached_property
    def needed_secrets(self) -> dict[str, str]:
        """Secrets that somebody else must have made, each with the key that is needed of it."""
        found = {}
        if self["api_key_secret"] and not self["api_key"]:
            found[self["api_key_secret"]] = self["api_key_secret_key"]
        if self["image_pull_secret"]:
            found[self["image_pull_secret"]] = ".dockerconfigjson"
        if self.tls == "secret":
            found[self.tls_secret] = "tls.crt"  # the name of a key
        if self.pod_certificate and self["route_pod_tls_secret"]:
            found[self.pod_certificate] = "tls.crt"
        return found

    def public_url(self, told: t.Mapping[str, t.Any]) -> str:
        """Return the page's address, "" when it is open to nobody.

        :param told: what module kubernetes_objects returned about addresses, ports and hosts.
        """
        path = self["path"].rstrip("/") + "/"
        host = self["host"]
        if self.way == "loadbalancer":
            address = host or (told.get("addresses") or {}).get(f"{self['name']}-lb", "")
            port = "" if self["load_balancer_port"] == 80 else f":{self['load_balancer_port']}"
            return f"http://{address}{port}{path}" if address else ""
        if self.way == "nodeport":
            ports = (told.get("ports") or {}).get(f"{self['name']}-nodeport") or {}
            # A node without a ready pod of ours does not answer; while there is no such pod, none does.
            nodes = told.get("hosts") or (self.cluster.get("network") or {}).get("nodes") or ["NODE"]
            host = host or (f"[{nodes[0]}]" if ":" in nodes[0] else nodes[0])
            return f"http://{host}:{ports['http']}{path}" if ports else ""
        if self.way == "none" or not host:
            return ""
        secure = (
            self.way == "route" or self.tls != "none" or (self.way == "gateway" and self["tls"] != "none")
        )
        return f"{'https' if secure else 'http'}://{host}{path}"
