# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may reach the chatbot, whom it may reach, and who may reach the private model's door."""

from __future__ import annotations

import typing as t

from .common import HTTP, METRICS, Object, Settings, labels, obj

#: The router's pods as Skupper labels them.
ROUTER = {"application": "skupper-router", "skupper.io/component": "router"}
#: 53 is what pods ask; on OpenShift and some others the name servers themselves listen on 5353.
DNS_PORTS = (53, 5353)
#: Where name servers are: Kubernetes', OpenShift's, and the usual one on each node.
DNS_SERVERS: tuple[Object, ...] = (
    {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}},
    {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "openshift-dns"}}},
    {"ipBlock": {"cidr": "169.254.20.10/32"}},
)


def _rule(direction: str, peers: list[Object], ports: list[Object]) -> Object:
    rule: Object = {}
    if peers:
        rule[direction] = peers
    if ports:
        rule["ports"] = ports
    return rule


def chatbot_policy(settings: Settings) -> Object:
    """Return the policy of the chatbot's pods: visitors and monitoring in, name servers and the model out."""
    network = settings["network"]
    visitors: list[Object] = [{"port": HTTP, "protocol": "TCP"}]
    ingress: list[Object] = []
    if network["visitors"] is not None:
        ingress.append(_rule("from", network["visitors"], visitors))
    if network["monitoring"]:
        ingress.append(_rule("from", network["monitoring"], [{"port": METRICS, "protocol": "TCP"}]))
    dns = [{"port": port, "protocol": protocol} for port in DNS_PORTS for protocol in ("UDP", "TCP")]
    egress = [_rule("to", network["dns"] or list(DNS_SERVERS), dns), *_model_rules(settings)]
    spec: dict[str, t.Any] = {
        "podSelector": {"matchLabels": labels(settings)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress,
        "egress": egress,
    }
    return obj(settings, "networking.k8s.io/v1", "NetworkPolicy", spec=spec)


def _model_rules(settings: Settings) -> list[Object]:
    model = settings["network"]["model"]
    if model is None:
        # The listener's Service leads to a port of the router's choice, so the pods are fixed, not the port.
        return [_rule("to", [{"podSelector": {"matchLabels": ROUTER}}], [])]
    return [_rule("to", model["peers"], [{"port": model["port"], "protocol": "TCP"}])]


def listener_policy(settings: Settings) -> Object | None:
    """Return the policy of the router's pods: sites link as before, the model is for the chatbot alone."""
    ports = settings["network"]["router_ports"]
    if settings["network"]["model"] is not None or ports is None:
        return None
    spec = {
        "podSelector": {"matchLabels": ROUTER},
        "policyTypes": ["Ingress"],
        "ingress": [
            {"ports": [{"port": port, "protocol": "TCP"} for port in ports]},
            {"from": [{"podSelector": {"matchLabels": labels(settings)}}]},
        ],
    }
    return obj(settings, "networking.k8s.io/v1", "NetworkPolicy", "-listener", spec=spec)
