"""Traefik in the place of NGINX and its stand-in controller: it serves the class of ingress-nginx by itself.

It is a process of this machine in a network namespace of its own, with the address that visitors know: pods
and policies see from where its connections come.
"""

from __future__ import annotations

from pathlib import Path

from tests.cluster.controller_pod import appear
from tests.cluster.network import Network, Plan, ip, isolated
from tests.cluster.processes import Processes, answers, found
from tests.cluster.programs import program
from tests.cluster.rest import Rest

#: Its namespace, and its pod's label in its chart.
NAME = "traefik"
#: Where it says how it is.
PORT = 8080


def start(network: Network, plan: Plan, kubeconfig: Path, processes: Processes, rest: Rest) -> None:
    """Start it and wait until it serves; RuntimeError with the end of its log otherwise."""
    inside = isolated("ingress", processes)
    ip("address", "del", f"{plan.ingress}/24", "dev", plan.link)
    network.plug("ingress", inside)
    ip("address", "add", f"{plan.ingress}/24", "dev", "eth0", inside=inside)
    for link in ("lo", "eth0"):
        ip("link", "set", link, "up", inside=inside)
    for index in range(1, network.nodes + 1):
        ip("route", "add", plan.pods(index), "via", plan.node(index), inside=inside)
    settings = {
        "global.checknewversion": "false",
        "global.sendanonymoususage": "false",
        "log.level": "INFO",
        "log.nocolor": "true",
        "ping": "true",
        "entrypoints.traefik.address": f":{PORT}",
        "entrypoints.web.address": ":80",
        "entrypoints.websecure.address": ":443",
        "entrypoints.websecure.http.tls": "true",
        "providers.kubernetesingressnginx": "true",
        "providers.kubernetesingressnginx.publishstatusaddress": plan.ingress,
    }
    # Its own kubeconfig would need roles; this one reads everything anyway.
    command = [found("nsenter", "util-linux"), f"--net=/proc/{inside}/ns/net"]
    command += ["env", f"KUBECONFIG={kubeconfig}", str(program("traefik"))]
    command += [f"--{name}={value}" for name, value in settings.items()]
    processes.start("traefik", command, lambda: answers(f"http://{plan.ingress}:{PORT}/ping"))
    appear(rest, NAME, plan.ingress)
