"""etcd and kube-apiserver, controllers and scheduler when asked, and an audit log; nothing is left."""

from __future__ import annotations

import base64
import ipaddress
import json
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from tests.cluster.pki import Authority, write_key
from tests.cluster.processes import Processes, Workspace, answers, found
from tests.cluster.programs import program
from tests.ports import free_port, free_ports

LOOPBACK = "127.0.0.1"

# Who asked for what, and whether it was written: enough to prove that a check run wrote nothing.
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "userGroups": ["system:serviceaccounts", "system:nodes"]},
        {
            "level": "None",
            "users": ["system:apiserver", "system:kube-controller-manager", "system:kube-scheduler"],
        },
        {"level": "Metadata"},
    ],
}


class ControlPlane:
    """Started by `start`; `kubeconfig` is the administrator's.

    :param folder: where to keep everything; one of its own without it.
    :param controllers: whether Kubernetes' controllers run, too.
    :param address: where it serves; at another one than loopback, nodes can join, and get their scheduler.
    :param services: the range of the Services' addresses.
    """

    def __init__(
        self,
        folder: Path | None = None,
        controllers: bool = False,
        address: str = LOOPBACK,
        services: str = "10.96.0.0/16",
    ) -> None:
        self._workspace = None if folder else Workspace()
        self.folder = folder or self._workspace.path  # type: ignore[union-attr]
        self.folder.mkdir(parents=True, exist_ok=True)
        self.controllers = controllers
        self.address, self.services = address, services
        self.processes = Processes(self.folder)
        self.authority = Authority(self.folder)
        self.port = free_port()
        self.server = f"https://{address}:{self.port}"
        self.audit_log = self.folder / "audit.log"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's way in."""
        return self.folder / "kubeconfig"

    def write_kubeconfig(self, user: str, groups: tuple[str, ...] = (), file: str | None = None) -> Path:
        """A kubeconfig with a certificate for this user."""
        certificate, key = self.authority.issue(f"user-{user.replace(':', '-')}", user, groups)

        def inline(source: Path) -> str:
            return base64.b64encode(source.read_bytes()).decode()

        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [
                {
                    "name": "test",
                    "cluster": {
                        "server": self.server,
                        "certificate-authority-data": inline(self.authority.certificate_file),
                    },
                }
            ],
            "users": [
                {
                    "name": user,
                    "user": {"client-certificate-data": inline(certificate), "client-key-data": inline(key)},
                }
            ],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
        }
        path = self.folder / (file or f"kubeconfig-{user.replace(':', '-')}")
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(content))
        return path

    def start(self) -> ControlPlane:
        """Start everything and wait until it serves; RuntimeError with the end of the log otherwise."""
        try:
            etcd = self._start_etcd()
            self._start_api_server(etcd)
            self.write_kubeconfig("admin", ("system:masters",), "kubeconfig")
            if self.controllers:
                self._start_controllers()
            if self.address != LOOPBACK:
                self._start_scheduler()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop everything and remove the folder if it is ours."""
        self.processes.stop()
        if self._workspace:
            self._workspace.close()

    def requests(self) -> list[dict[str, Any]]:
        """What users asked of the API server so far: verb, user, objectRef, requestURI, responseStatus."""
        lines = self.audit_log.read_text().splitlines() if self.audit_log.exists() else []
        return [json.loads(line) for line in lines]

    def _start_etcd(self) -> str:
        client, peer = (f"http://127.0.0.1:{port}" for port in free_ports(2))
        command = [found("etcd", "etcd-server"), f"--data-dir={self.folder / 'etcd'}", "--name=test"]
        command += [f"--listen-client-urls={client}", f"--advertise-client-urls={client}"]
        command += [f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"]
        command += [f"--initial-cluster=test={peer}"]
        self.processes.start("etcd", command, lambda: answers(f"{client}/health"))
        return client

    def _start_api_server(self, etcd: str) -> None:
        key = self.folder / "service-accounts.key"
        write_key(key, ec.generate_private_key(ec.SECP256R1()))
        names = (LOOPBACK, "localhost", self.address, str(ipaddress.ip_network(self.services)[1]))
        certificate, server_key = self.authority.issue("apiserver", "kube-apiserver", addresses=names)
        policy = self.folder / "audit-policy.yaml"
        policy.write_text(yaml.safe_dump(AUDIT_POLICY))
        settings = {
            "etcd-servers": etcd,
            "bind-address": self.address,
            "secure-port": self.port,
            "service-cluster-ip-range": self.services,
            "client-ca-file": self.authority.certificate_file,
            "tls-cert-file": certificate,
            "tls-private-key-file": server_key,
            "service-account-key-file": key,
            "service-account-signing-key-file": key,
            "service-account-issuer": "https://kubernetes.default.svc",
            "authorization-mode": "Node,RBAC",
            "enable-admission-plugins": "NodeRestriction",
            "audit-policy-file": policy,
            "audit-log-path": self.audit_log,
            "cert-dir": self.folder,
        }
        if self.address == LOOPBACK:
            # There is nobody to tell the address of the `kubernetes` Service to.
            settings["endpoint-reconciler-type"] = "none"
        else:
            settings.update(self._with_nodes())
        self._serve("kube-apiserver", settings, f"{self.server}/readyz")

    def _with_nodes(self) -> dict[str, Any]:
        """What the API server needs to ask kubelets and metrics-server."""
        kubelet, kubelet_key = self.authority.issue("to-kubelets", "to-kubelets", ("system:masters",))
        front, front_key = self.authority.issue("front-proxy", "front-proxy")
        return {
            "advertise-address": self.address,
            "kubelet-client-certificate": kubelet,
            "kubelet-client-key": kubelet_key,
            "kubelet-preferred-address-types": "InternalIP",
            "requestheader-client-ca-file": self.authority.certificate_file,
            "requestheader-allowed-names": "front-proxy",
            "requestheader-username-headers": "X-Remote-User",
            "requestheader-group-headers": "X-Remote-Group",
            "requestheader-extra-headers-prefix": "X-Remote-Extra-",
            "proxy-client-cert-file": front,
            "proxy-client-key-file": front_key,
            "enable-aggregator-routing": "true",
        }

    def _start_controllers(self) -> None:
        settings = {
            "service-account-private-key-file": self.folder / "service-accounts.key",
            "root-ca-file": self.authority.certificate_file,
            "use-service-account-credentials": "true",
            "allocate-node-cidrs": "false",
            # A test does not wait as long as a cluster that saves its controllers work.
            "horizontal-pod-autoscaler-sync-period": "5s",
            "horizontal-pod-autoscaler-initial-readiness-delay": "5s",
            "horizontal-pod-autoscaler-cpu-initialization-period": "10s",
        }
        self._start_client("kube-controller-manager", settings)

    def _start_scheduler(self) -> None:
        self._start_client("kube-scheduler", {})

    def _start_client(self, name: str, settings: dict[str, Any]) -> None:
        port = free_port()
        kubeconfig = self.write_kubeconfig(f"system:{name}", (f"system:{name}",))
        common = {
            "kubeconfig": kubeconfig,
            "authentication-kubeconfig": kubeconfig,
            "authorization-kubeconfig": kubeconfig,
            "leader-elect": "false",
            "bind-address": LOOPBACK,
            "secure-port": port,
            "cert-dir": self.folder / name,
        }
        self._serve(name, common | settings, f"https://{LOOPBACK}:{port}/healthz")

    def _serve(self, name: str, settings: dict[str, Any], url: str) -> None:
        command = [str(program(name)), *(f"--{key}={value}" for key, value in settings.items())]
        self.processes.start(name, command, lambda: answers(url))
