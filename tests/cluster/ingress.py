"""Stand-in for an ingress controller: Ingress objects served by the distribution's real NGINX.

It asks the API every half second, writes NGINX's configuration when that changes and lets NGINX reload, which
keeps open streams. It serves hosts and paths, TLS by Secrets, balances over the ready pods and fills in
`status.loadBalancer`; and it looks after Services of type LoadBalancer, as a cloud would.

    python -m tests.cluster.ingress FACTS NGINX_PID      FACTS: the cluster's cluster.json
"""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.cluster.controller_pod import appear
from tests.cluster.facts import Facts
from tests.cluster.load_balancers import LoadBalancers, addresses
from tests.cluster.nginx_config import PREFIXES, Location, Server, annotations_of, render
from tests.cluster.pki import Authority
from tests.cluster.processes import Processes, child_of, found
from tests.cluster.rest import Rest, every

SECONDS = 0.5
NETWORKING = "/apis/networking.k8s.io/v1"
#: Its namespace, and its pod's label.
NAME = "ingress-nginx"


class Controller:
    """Keeps NGINX and the objects' statuses as the API wants them."""

    def __init__(self, facts: Facts, nginx: int) -> None:
        self.facts, self.nginx = facts, nginx
        self.folder = Path(facts.folder, "ingress")
        self.rest = Rest(Path(facts.kubeconfig), self.folder)
        self.applied = (self.folder / "nginx.conf").read_text()
        self.certificates: dict[str, tuple[str, str]] = {}
        self.told: set[str] = set()
        self.load_balancers = LoadBalancers(facts, self.publish)
        self.appeared = False

    def look(self) -> None:
        """One round."""
        if not self.appeared:
            appear(self.rest, NAME, self.facts.ingress)
            self.appeared = True
        classes = {
            item["metadata"]["name"]: item["spec"].get("controller")
            for item in self.rest.items(f"{NETWORKING}/ingressclasses")
        }
        ingresses = [
            (item, classes[item["spec"].get("ingressClassName")])
            for item in self.rest.items(f"{NETWORKING}/ingresses")
            if classes.get(item["spec"].get("ingressClassName")) in PREFIXES
        ]
        ingresses.sort(key=lambda pair: str(pair[0]["metadata"]["creationTimestamp"]))
        services = self.rest.items("/api/v1/services")
        slices = self.rest.items("/apis/discovery.k8s.io/v1/endpointslices")
        self.configure(ingresses, services, slices)
        for item, _ in ingresses:
            self.publish(f"{NETWORKING}/namespaces/{{}}/ingresses/{{}}", item, self.facts.ingress)
        self.load_balancers.look(services, slices)

    def configure(
        self,
        ingresses: list[tuple[dict[str, Any], str]],
        services: list[dict[str, Any]],
        slices: list[dict[str, Any]],
    ) -> None:
        """Render, have NGINX judge it, and let it take the new one."""
        by_name = {(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in services}
        servers: dict[str, Server] = {}
        for item, controller in ingresses:
            namespace = item["metadata"]["namespace"]
            annotations, wrong = annotations_of(item, controller)
            self.tell(*wrong)
            for rule in _rules(item):
                server = servers.setdefault(rule.get("host", ""), Server())
                for path in rule.get("http", {}).get("paths", []):
                    backend = path["backend"]["service"]
                    service = by_name.get((namespace, backend["name"]))
                    upstream, pods = _upstream(namespace, backend, service, slices)
                    kind = path.get("pathType", "Prefix")
                    place = path.get("path", "/")
                    server.locations.append(Location(place, kind, upstream, pods, annotations))
            for tls in item["spec"].get("tls") or []:
                stem = self.certificate(namespace, tls.get("secretName", ""))
                for host in tls.get("hosts") or []:
                    if host in servers and stem:
                        servers[host].certificate = stem
        text = render(servers, self.facts.ingress, str(self.folder))
        # A changed certificate keeps its file's name.
        wanted = f"{text}# {hash(tuple(sorted(self.certificates.items())))}\n"
        if wanted == self.applied:
            return
        draft = self.folder / "next.conf"
        draft.write_text(wanted)
        judged = subprocess.run(
            [found("nginx", "nginx"), "-t", "-q", "-c", str(draft)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if judged.returncode:
            self.tell(f"NGINX refuses the configuration: {judged.stderr}")
            return
        draft.rename(self.folder / "nginx.conf")
        os.kill(self.nginx, signal.SIGHUP)
        self.applied = wanted

    def certificate(self, namespace: str, name: str) -> str:
        """Where the Secret's certificate is now, without its suffix; empty when there is none."""
        secret = self.rest.get(f"/api/v1/namespaces/{namespace}/secrets/{name}") if name else None
        data = (secret or {}).get("data") or {}
        if not {"tls.crt", "tls.key"} <= set(data):
            self.tell(f"Secret {namespace}/{name} holds no certificate; NGINX's own one is used")
            return ""
        stem = self.folder / f"{namespace}.{name}"
        pair = (data["tls.crt"], data["tls.key"])
        if self.certificates.get(str(stem)) != pair:
            for suffix, content in zip((".crt", ".key"), pair, strict=True):
                file = stem.with_name(stem.name + suffix)
                file.touch(mode=0o600)
                file.write_bytes(base64.b64decode(content))
            self.certificates[str(stem)] = pair
        return str(stem)

    def publish(self, path: str, item: dict[str, Any], address: str) -> None:
        """Tell in an object's status where it is served."""
        if addresses(item) != [address]:
            metadata = item["metadata"]
            status = {"loadBalancer": {"ingress": [{"ip": address}]}}
            self.rest.set_status(path.format(metadata["namespace"], metadata["name"]), status)

    def tell(self, *lines: str) -> None:
        """Say something once."""
        for line in lines:
            if line not in self.told:
                self.told.add(line)
                print(line, flush=True)


def _rules(ingress: dict[str, Any]) -> list[dict[str, Any]]:
    rules = list(ingress["spec"].get("rules") or [])
    backend = ingress["spec"].get("defaultBackend")
    if backend:
        rules.append({"http": {"paths": [{"path": "/", "backend": backend}]}})
    return rules


def _upstream(
    namespace: str, backend: dict[str, Any], service: dict[str, Any] | None, slices: list[dict[str, Any]]
) -> tuple[str, tuple[str, ...]]:
    """A name for a Service's port, and the ready pods behind it."""
    wanted = backend.get("port", {})
    name = f"{backend['name']}.{namespace}.{wanted.get('name') or wanted.get('number')}"
    ports = service["spec"].get("ports", []) if service else []
    port = next((p for p in ports if wanted in ({"number": p["port"]}, {"name": p.get("name")})), None)
    if not port:
        return name, ()
    found: set[str] = set()
    for one in slices:
        labels = one["metadata"].get("labels") or {}
        if (one["metadata"]["namespace"], labels.get("kubernetes.io/service-name")) != (
            namespace,
            backend["name"],
        ):
            continue
        numbers = [p["port"] for p in one.get("ports") or [] if (p.get("name") or "") == port.get("name", "")]
        for endpoint in one.get("endpoints") or []:
            if endpoint.get("conditions", {}).get("ready", True):
                found |= {f"{ip}:{number}" for ip in endpoint["addresses"] for number in numbers}
    return name, tuple(sorted(found))


def start(facts: Facts, processes: Processes) -> int:
    """Start NGINX with nothing to serve yet; returns its process."""
    folder = Path(facts.folder, "ingress")
    folder.mkdir()
    certificate, key = Authority(folder).issue("issued", "self", addresses=("localhost",))
    certificate.rename(folder / "self.crt")
    key.rename(folder / "self.key")
    file = folder / "nginx.conf"
    file.write_text(render({}, facts.ingress, str(folder)))
    # As process 1 of a namespace it takes its workers with it, whatever ends it.
    command = [found("unshare", "util-linux"), "--pid", "--fork", "--kill-child", "--"]
    command += [found("nginx", "nginx"), "-c", str(file)]
    outer = processes.start("nginx", command)
    processes.wait("nginx", (folder / "nginx.pid").exists)
    return child_of(outer)


if __name__ == "__main__":
    every(SECONDS, Controller(Facts.read(Path(sys.argv[1])), int(sys.argv[2])).look)
