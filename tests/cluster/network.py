"""The network of a test cluster: nodes on a bridge, joined to this machine by one pair of interfaces.

The bridge is in a network namespace that has no name, as the nodes' have none: when their processes end, the
kernel removes them with every interface, address and route, on this machine, too.
"""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
from dataclasses import dataclass

from tests.cluster.processes import Processes, found

FIRST, LAST = 130, 189


def ip(*arguments: str, inside: int | None = None) -> str:
    """Run `ip`, in the network namespace of a process if one is given; RuntimeError with what it said."""
    command = [found("ip", "iproute2"), *arguments]
    if inside is not None:
        command = [found("nsenter", "util-linux"), f"--net=/proc/{inside}/ns/net", *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def isolated(name: str, processes: Processes) -> int:
    """Start a process that only keeps a network namespace; returns its number."""
    own = os.readlink("/proc/self/ns/net")
    pid = processes.start(name, [found("unshare", "util-linux"), "--net", "--", "sleep", "infinity"])
    processes.wait(name, lambda: os.readlink(f"/proc/{pid}/ns/net") != own)
    return pid


@dataclass(frozen=True)
class Plan:
    """The addresses of the cluster with this number, all below 10.<number>.0.0/16."""

    number: int

    @property
    def everything(self) -> str:
        return f"10.{self.number}.0.0/16"

    @property
    def link(self) -> str:
        """The interface on this machine."""
        return f"pait{self.number}"

    def _on_link(self, last: int) -> str:
        return f"10.{self.number}.0.{last}"

    @property
    def host(self) -> str:
        return self._on_link(1)

    @property
    def metrics(self) -> str:
        return self._on_link(9)

    @property
    def dns(self) -> str:
        return self._on_link(10)

    @property
    def ingress(self) -> str:
        return self._on_link(20)

    @property
    def visitors(self) -> list[str]:
        return [self._on_link(31), self._on_link(32)]

    def node(self, index: int) -> str:
        return self._on_link(100 + index)

    @property
    def load_balancers(self) -> str:
        return f"10.{self.number}.0.192/27"

    @property
    def services(self) -> str:
        return f"10.{self.number}.128.0/20"

    @property
    def dns_service(self) -> str:
        return str(ipaddress.ip_network(self.services)[10])

    @property
    def all_pods(self) -> str:
        return f"10.{self.number}.64.0/18"

    def pods(self, index: int) -> str:
        return f"10.{self.number}.{64 + index}.0/24"


class Network:
    """Made by `up`; it is gone with its processes."""

    def __init__(self, processes: Processes, nodes: int) -> None:
        self.processes = processes
        self.nodes = nodes

    def up(self) -> Plan:
        """Take the first range that nothing here uses; RuntimeError when there is none."""
        self.switch = isolated("switch", self.processes)
        ip("link", "add", "switch", "type", "bridge", inside=self.switch)
        ip("link", "set", "switch", "up", inside=self.switch)
        plan = self._join()
        for address in (plan.host, plan.metrics, plan.dns, plan.ingress, *plan.visitors):
            ip("address", "add", f"{address}/24", "dev", plan.link)
        ip("link", "set", plan.link, "up")
        for index in range(1, self.nodes + 1):
            ip("route", "add", plan.pods(index), "via", plan.node(index), "src", plan.host)
        for reached in (plan.services, plan.load_balancers):
            ip("route", "add", reached, "via", plan.node(1), "src", plan.host)
        return plan

    def _join(self) -> Plan:
        for number in range(FIRST, LAST + 1):
            plan = Plan(number)
            if _used(plan.everything):
                continue
            peer = ["peer", "name", "host", "netns", str(self.switch)]
            try:
                ip("link", "add", plan.link, "type", "veth", *peer)
            except RuntimeError as error:
                if "File exists" in str(error):
                    continue
                raise
            ip("link", "set", "host", "master", "switch", "up", inside=self.switch)
            return plan
        raise RuntimeError(
            f"no range from 10.{FIRST}.0.0/16 to 10.{LAST}.0.0/16 is free; remedy: see `ip route`"
        )

    def plug(self, name: str, pid: int) -> None:
        """Give the namespace of a process an eth0 on the bridge."""
        peer = ["peer", "name", "eth0", "netns", str(pid)]
        ip("link", "add", name, "netns", str(self.switch), "type", "veth", *peer)
        ip("link", "set", name, "master", "switch", "up", inside=self.switch)


def _used(network: str) -> bool:
    """Whether a route of this machine, other than the default one, leads into this network."""
    wanted = ipaddress.ip_network(network)
    routes = json.loads(ip("-json", "-4", "route", "show", "table", "all"))
    places = [route["dst"] for route in routes if route["dst"] != "default"]
    return any(ipaddress.ip_network(place, strict=False).overlaps(wanted) for place in places)
