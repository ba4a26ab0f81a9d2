"""Stand-in for a network plug-in's policy engine: NetworkPolicy objects as nftables rules of the nodes.

It asks the API every half second what there is and replaces one table in each node's network namespace, on
the forward hook: what a node itself sends (a kubelet's probes) passes. A new pod is open until the next
round.
CoreDNS is a process of this machine; it counts as the pod that it stands for.

    python -m tests.cluster.policies FACTS      FACTS: the cluster's cluster.json
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.facts import Facts
from tests.cluster.processes import found
from tests.cluster.rest import Rest, every

SECONDS = 0.5
TABLE = "network_policies"
NAME = "kubernetes.io/metadata.name"


@dataclass(frozen=True)
class Pod:
    """What policies see of a pod."""

    namespace: str
    address: str
    node: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    ports: dict[tuple[str, str], int] = field(default_factory=dict)

    @staticmethod
    def of(item: dict[str, Any]) -> Pod | None:
        """None for a pod without an address of its own, or one that has ended."""
        spec, status, metadata = item["spec"], item.get("status", {}), item["metadata"]
        if spec.get("hostNetwork") or not status.get("podIP") or status["phase"] in ("Succeeded", "Failed"):
            return None
        ports = [port for container in spec["containers"] for port in container.get("ports", [])]
        names = {(p["name"], p.get("protocol", "TCP")): p["containerPort"] for p in ports if p.get("name")}
        labels = metadata.get("labels") or {}
        return Pod(metadata["namespace"], status["podIP"], spec.get("nodeName", ""), labels, names)


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a label selector chooses these labels; an empty one chooses everything."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for one in selector.get("matchExpressions") or []:
        key, operator, values = one["key"], one["operator"], one.get("values") or []
        fits = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }
        if not fits[operator]:
            return False
    return True


@dataclass
class World:
    """All pods, the namespaces' labels and the policies."""

    pods: list[Pod]
    namespaces: dict[str, dict[str, str]]
    policies: list[dict[str, Any]]

    def chosen(self, peer: dict[str, Any], namespace: str) -> list[Pod]:
        """The pods that a peer with selectors names, in a policy of this namespace."""
        across = peer.get("namespaceSelector")
        return [
            pod
            for pod in self.pods
            if selects(peer.get("podSelector") or {}, pod.labels)
            and (
                pod.namespace == namespace
                if across is None
                else selects(across, self.namespaces.get(pod.namespace, {}))
            )
        ]

    def rules(self, pod: Pod, direction: str) -> list[str] | None:
        """The rules that let packets of a pod pass; None when no policy is about it."""
        kind = {"in": "Ingress", "out": "Egress"}[direction]
        applying = [
            policy
            for policy in self.policies
            if policy["metadata"]["namespace"] == pod.namespace
            and kind in policy["spec"]["policyTypes"]
            and selects(policy["spec"].get("podSelector") or {}, pod.labels)
        ]
        if not applying:
            return None
        lines: list[str] = []
        for policy in applying:
            for rule in policy["spec"].get(kind.lower()) or []:
                peers = rule.get("from" if direction == "in" else "to")
                lines += self._allow(pod, direction, peers, rule.get("ports"))
        return list(dict.fromkeys(lines))

    def _allow(
        self, pod: Pod, direction: str, peers: list[dict[str, Any]] | None, ports: list[dict[str, Any]] | None
    ) -> list[str]:
        side = "saddr" if direction == "in" else "daddr"
        namespace = pod.namespace
        if not peers:
            # A named port of a destination that may be anybody: whoever has one.
            named = [pod] if direction == "in" else self.pods
            return self._with_ports("", ports, named, side if direction == "out" else "")
        lines = []
        for peer in peers:
            block = peer.get("ipBlock")
            if block and ":" in block["cidr"]:
                continue
            if block:
                where = f"ip {side} {block['cidr']}"
                if block.get("except"):
                    where += f" ip {side} != {{ {', '.join(block['except'])} }}"
                lines += self._with_ports(where, ports, [pod] if direction == "in" else [], "")
                continue
            found = self.chosen(peer, namespace)
            if not found:
                continue
            where = f"ip {side} {{ {', '.join(sorted({one.address for one in found}))} }}"
            if direction == "in":
                lines += self._with_ports(where, ports, [pod], "")
            else:
                lines += self._with_ports(where, ports, found, side)
        return lines

    @staticmethod
    def _with_ports(
        where: str, ports: list[dict[str, Any]] | None, named: list[Pod], narrow: str
    ) -> list[str]:
        """A rule for each port; `narrow` is the side on which a named port holds for its pod alone."""
        if not ports:
            return [f"{where} return".strip()]
        lines = []
        for port in ports:
            protocol, wanted = port.get("protocol", "TCP"), port.get("port")
            match = protocol.lower()
            if wanted is None:
                lines.append(f"{where} meta l4proto {match} return")
            elif isinstance(wanted, int):
                last = f"-{port['endPort']}" if port.get("endPort") else ""
                lines.append(f"{where} {match} dport {wanted}{last} return")
            else:
                for pod in named:
                    number = pod.ports.get((wanted, protocol))
                    if number:
                        place = f"ip {narrow} {pod.address}" if narrow else where
                        lines.append(f"{place} {match} dport {number} return")
        return [line.strip() for line in lines]


def render(world: World, node: str) -> str:
    """The table for a node: a chain for each of its pods and directions that a policy is about."""
    chains, jumps = [], []
    for pod in sorted((one for one in world.pods if one.node == node), key=lambda one: one.address):
        for direction, side in (("in", "daddr"), ("out", "saddr")):
            rules = world.rules(pod, direction)
            if rules is not None:
                name = f"{direction}-{pod.address.replace('.', '-')}"
                body = "\n".join(f"    {line}" for line in [*rules, "drop"])
                chains.append(f'  chain {name} {{\n    comment "{pod.namespace}"\n{body}\n  }}\n')
                jumps.append(f"    ip {side} {pod.address} jump {name}\n")
    hook = "    type filter hook forward priority filter; policy accept;\n"
    # Answers pass; so do streams that were open before a policy came, as with most plug-ins.
    hook += "    ct state established,related accept\n"
    table = f"table ip {TABLE} {{\n{''.join(chains)}  chain forward {{\n{hook}{''.join(jumps)}  }}\n}}\n"
    return f"table ip {TABLE}\ndelete table ip {TABLE}\n{table}"


class Engine:
    """Keeps the tables as the API wants them."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        folder = Path(facts.folder, "policies")
        folder.mkdir(exist_ok=True)
        self.rest = Rest(Path(facts.kubeconfig), folder)
        self.applied: dict[str, str] = {}
        self.stand_ins = [
            Pod("kube-system", facts.dns, labels={"k8s-app": "kube-dns"}),
        ]

    def look(self) -> None:
        """One round."""
        pods = [pod for pod in map(Pod.of, self.rest.items("/api/v1/pods")) if pod]
        namespaces = {
            item["metadata"]["name"]: item["metadata"].get("labels") or {}
            for item in self.rest.items("/api/v1/namespaces")
        }
        for pod in self.stand_ins:
            namespaces.setdefault(pod.namespace, {NAME: pod.namespace})
        policies = self.rest.items("/apis/networking.k8s.io/v1/networkpolicies")
        world = World([*pods, *self.stand_ins], namespaces, policies)
        for node, pid in self.facts.pids.items():
            wanted = render(world, node)
            if self.applied.get(node) != wanted:
                nft(pid, wanted)
                self.applied[node] = wanted


def nft(pid: int, script: str) -> None:
    """Run a script of nft in the network namespace of a process; RuntimeError with what it said."""
    command = [
        found("nsenter", "util-linux"),
        f"--net=/proc/{pid}/ns/net",
        found("nft", "nftables"),
        "-f",
        "-",
    ]
    done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise RuntimeError(f"nft: {done.stderr}\n{script}")


if __name__ == "__main__":
    every(SECONDS, Engine(Facts.read(Path(sys.argv[1]))).look)
