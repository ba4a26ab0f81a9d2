"""Stand-in for a cloud's load balancers: addresses for Services, and a way to a node that serves them.

A Service with `externalTrafficPolicy: Local` is served only by nodes that run one of its ready pods, so the
way to its address follows the pods, as with health checks of a cloud or announcements of MetalLB.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

from tests.cluster.facts import Facts
from tests.cluster.network import ip

Item = dict[str, Any]


class LoadBalancers:
    """Keeps the addresses and the ways to them."""

    def __init__(self, facts: Facts, publish: Callable[[str, Item, str], None]) -> None:
        self.facts, self.publish = facts, publish
        self.ways: dict[str, str] = {}

    def look(self, services: list[Item], slices: list[Item]) -> None:
        """One round."""
        wanting = [one for one in services if one["spec"].get("type") == "LoadBalancer"]
        taken = {address for one in wanting for address in addresses(one)}
        free = (str(one) for one in ipaddress.ip_network(self.facts.load_balancers).hosts())
        for item in wanting:
            if not addresses(item):
                address = next(one for one in free if one not in taken)
                taken.add(address)
                self.publish("/api/v1/namespaces/{}/services/{}", item, address)
        self.lead(ways(wanting, slices, self.facts.nodes))

    def lead(self, wanted: dict[str, str]) -> None:
        """Have this machine reach these addresses through these nodes, others through the first."""
        for address in self.ways.keys() - wanted.keys():
            ip("route", "del", f"{address}/32")
        for address, node in wanted.items():
            if self.ways.get(address) != node:
                ip("route", "replace", f"{address}/32", "via", node, "src", self.facts.host)
        self.ways = wanted


def addresses(item: Item) -> list[str]:
    """What an object's status tells."""
    return [one.get("ip", "") for one in item.get("status", {}).get("loadBalancer", {}).get("ingress") or []]


def ways(services: list[Item], slices: list[Item], nodes: dict[str, str]) -> dict[str, str]:
    """The address of a node with a ready pod, by address of a Service that only such nodes serve."""
    found: dict[str, str] = {}
    for item in services:
        metadata = item["metadata"]
        if item["spec"].get("externalTrafficPolicy") != "Local":
            continue
        ready = {
            endpoint.get("nodeName")
            for one in slices
            if one["metadata"]["namespace"] == metadata["namespace"]
            and (one["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == metadata["name"]
            for endpoint in one.get("endpoints") or []
            if endpoint.get("conditions", {}).get("ready", True)
        }
        serving = [address for name, address in nodes.items() if name in ready]
        if serving:
            found |= dict.fromkeys(addresses(item), serving[0])
    return found
