"""A whole Kubernetes on this machine: two nodes and what they need. It ends with its keeper."""

from __future__ import annotations

import os
import select
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.cluster import addons, ingress, ingress_traefik
from tests.cluster.control_plane import ControlPlane
from tests.cluster.controller_pod import place
from tests.cluster.facts import Facts
from tests.cluster.images import write_image
from tests.cluster.network import Network
from tests.cluster.nginx_config import COMMUNITY, F5
from tests.cluster.node import PROBE_IMAGE, Node, load
from tests.cluster.processes import Processes, Workspace
from tests.cluster.programs import ROOT, build_all, program, say
from tests.cluster.rest import Rest

NODES = 2
READY_SECONDS = 120
INGRESS_CLASSES = {"nginx": COMMUNITY, "nginx-f5": F5}


class Supervisor:
    """Starts the cluster, looks after it and takes it away.

    :param only_api: whether it has an API with its controllers, and no node.
    :param traefik: whether Traefik serves Ingress objects, instead of NGINX and a stand-in controller.
    """

    def __init__(self, only_api: bool = False, traefik: bool = False) -> None:
        self.only_api, self.traefik = only_api, traefik
        if os.geteuid() and not only_api:
            raise RuntimeError(
                "a Kubernetes of its own needs root; remedy: run this as root, "
                "or let TEST_KUBECONFIG name a cluster that is there"
            )
        build_what(only_api, traefik)
        self.workspace = Workspace()
        self.folder = self.workspace.path
        self.processes = Processes(self.folder)
        self.plane: ControlPlane | None = None

    def start(self) -> Facts:
        """Start everything; RuntimeError with the reason when something does not come up."""
        if self.only_api:
            self.plane = ControlPlane(self.folder / "plane", True).start()
            return Facts.of_api(self.plane.kubeconfig, self.folder)
        archive = self.folder / "probe.tar"
        write_image(program("probe"), PROBE_IMAGE, archive)
        network = Network(self.processes, NODES)
        plan = network.up()
        self.plane = ControlPlane(self.folder / "plane", True, plan.host, plan.services).start()
        nodes = [Node(index, plan, self.plane, self.folder) for index in range(1, NODES + 1)]
        for node in nodes:
            node.start(self.processes, network, NODES)
            load(archive, node.socket)
        rest = Rest(self.plane.kubeconfig, self.folder)
        addons.start_dns(plan, self.plane, self.processes, rest)
        addons.start_metrics(plan, self.plane, self.processes, rest)
        facts = Facts(
            kubeconfig=str(self.plane.kubeconfig),
            host=plan.host,
            ingress=plan.ingress,
            dns=plan.dns,
            visitors=plan.visitors,
            nodes={node.name: node.address for node in nodes},
            pids={node.name: node.pid for node in nodes},
            pods=plan.all_pods,
            services=plan.services,
            load_balancers=plan.load_balancers,
            probe_image=PROBE_IMAGE,
            supervisor=os.getpid(),
            folder=str(self.folder),
        )
        file = self.folder / "cluster.json"
        facts.write(file)
        if self.traefik:
            self._make_classes(rest, "nginx")
            ingress_traefik.start(network, plan, self.plane.kubeconfig, self.processes, rest)
        else:
            self._make_classes(rest, *INGRESS_CLASSES)
            nginx = ingress.start(facts, self.processes)
            self._start_stand_in("ingress", str(file), str(nginx))
        facts = replace(facts, policies=self._start_stand_in("policies", str(file)))
        controller = place(ingress_traefik.NAME if self.traefik else ingress.NAME)
        self._await(lambda: _ready(rest, controller), "the nodes are not Ready")
        return facts

    def _start_stand_in(self, name: str, *arguments: str) -> int:
        """What a cluster's network plug-in or ingress controller would do; returns its process."""
        return self.processes.start(name, [sys.executable, "-m", f"tests.cluster.{name}", *arguments])

    def _make_classes(self, rest: Rest, *names: str) -> None:
        for name in names:
            kind = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": name}}
            path = f"/apis/networking.k8s.io/v1/ingressclasses/{name}"
            rest.apply(path, {**kind, "spec": {"controller": INGRESS_CLASSES[name]}})

    def look_after(self, stays: bool) -> None:
        """Until standard input ends or a signal comes; says which program ended meanwhile."""
        told: set[str] = set()
        while True:
            watched = [] if stays else [sys.stdin]
            if select.select(watched, [], [], 1)[0] and not os.read(0, 1):
                return
            for name in set(self._ended()) - told:
                told.add(name)
                say(f"{name} of the test cluster ended; its log: {self.folder / name}.log")

    def stop(self) -> None:
        """Leave nothing."""
        self.processes.stop()
        if self.plane:
            self.plane.stop()
        self.workspace.close()

    def _ended(self) -> list[str]:
        return self.processes.ended() + (self.plane.processes.ended() if self.plane else [])

    def _await(self, check: Callable[[], bool], otherwise: str) -> None:
        end = time.monotonic() + READY_SECONDS
        while not check():
            if self._ended() or time.monotonic() > end:
                raise RuntimeError(f"{otherwise}; {_tails(self.folder, self._ended())}")
            time.sleep(0.2)


def build_what(only_api: bool, traefik: bool = False) -> None:
    """Have the programs there that it needs."""
    if only_api:
        program("kube-apiserver")
    else:
        build_all()
    if traefik:
        program("traefik")


def _ready(rest: Rest, controller_pod: str) -> bool:
    """Whether every node takes pods, and the API admits them."""
    nodes = rest.items("/api/v1/nodes")
    conditions = [one for node in nodes for one in node["status"].get("conditions") or []]
    account = rest.get("/api/v1/namespaces/default/serviceaccounts/default")
    controller = (rest.get(controller_pod) or {}).get("status") or {}
    return (
        bool(account and controller.get("podIP"))
        and [one["status"] for one in conditions if one["type"] == "Ready"] == ["True"] * NODES
    )


def _tails(folder: Path, ended: list[str]) -> str:
    """How the logs end of what ended, or else of the kubelets."""
    logs = [log for name in ended for log in folder.rglob(f"{name}.log")] or sorted(
        folder.glob("node-*/kubelet.log")
    )
    return "; ".join(f"{log.relative_to(folder)}: {log.read_text()[-800:]}" for log in logs)


def keep_logs(folder: Path) -> Path:
    """Copy the logs to where a person looks for them after a failure."""
    target = ROOT / ".cache/cluster-logs"
    shutil.rmtree(target, ignore_errors=True)
    for log in folder.rglob("*.log"):
        if log.is_file() and "var" not in log.relative_to(folder).parts:
            copy = target / log.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(log, copy)
    return target
