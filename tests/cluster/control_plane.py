"""etcd and kube-apiserver on loopback, with its controllers when asked, and an audit log; nothing is left."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from tests.cluster.pki import Authority, write_key
from tests.cluster.programs import program

SERVICES = "10.96.0.0/16"
START_SECONDS = 120

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


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


class ControlPlane:
    """Started by `start`; `kubeconfig` is the administrator's."""

    def __init__(self, folder: Path | None = None, controllers: bool = False) -> None:
        self._own_folder = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="test-cluster-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.controllers = controllers
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.authority = Authority(self.folder)
        self.port = free_port()
        self.server = f"https://127.0.0.1:{self.port}"
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
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop everything, newest first, and remove the folder if it is ours."""
        for process in reversed(self.processes.values()):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def requests(self) -> list[dict[str, Any]]:
        """What users asked of the API server so far: verb, user, objectRef, requestURI, responseStatus."""
        lines = self.audit_log.read_text().splitlines() if self.audit_log.exists() else []
        return [json.loads(line) for line in lines]

    def _run(self, name: str, command: list[str], ready: Callable[[], bool]) -> None:
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            self.processes[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        end = time.monotonic() + START_SECONDS
        while not ready():
            if self.processes[name].poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{name} does not serve: {log.read_text()[-2000:]}")
            time.sleep(0.1)

    def _start_etcd(self) -> str:
        found = shutil.which("etcd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if not found:
            raise RuntimeError(
                "etcd is not installed; remedy: tools/bootstrap.sh --dev (package etcd-server)"
            )
        client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        command = [found, f"--data-dir={self.folder / 'etcd'}", "--name=test"]
        command += [f"--listen-client-urls={client}", f"--advertise-client-urls={client}"]
        command += [f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"]
        command += [f"--initial-cluster=test={peer}"]
        self._run("etcd", command, lambda: self._answers(f"{client}/health"))
        return client

    def _start_api_server(self, etcd: str) -> None:
        key = self.folder / "service-accounts.key"
        write_key(key, ec.generate_private_key(ec.SECP256R1()))
        certificate, server_key = self.authority.issue(
            "apiserver", "kube-apiserver", addresses=("127.0.0.1", "localhost", "10.96.0.1")
        )
        policy = self.folder / "audit-policy.yaml"
        policy.write_text(yaml.safe_dump(AUDIT_POLICY))
        settings = {
            "etcd-servers": etcd,
            "bind-address": "127.0.0.1",
            "secure-port": self.port,
            # There is nobody to tell the address of the `kubernetes` Service to.
            "endpoint-reconciler-type": "none",
            "service-cluster-ip-range": SERVICES,
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
        command = [str(program("kube-apiserver")), *(f"--{name}={value}" for name, value in settings.items())]
        self._run("kube-apiserver", command, lambda: self._answers(f"{self.server}/readyz"))

    def _start_controllers(self) -> None:
        user = "system:kube-controller-manager"
        port = free_port()
        settings = {
            "kubeconfig": self.write_kubeconfig(user, (user,)),
            "authentication-kubeconfig": self.write_kubeconfig(user, (user,)),
            "authorization-kubeconfig": self.write_kubeconfig(user, (user,)),
            "service-account-private-key-file": self.folder / "service-accounts.key",
            "root-ca-file": self.authority.certificate_file,
            "use-service-account-credentials": "true",
            "leader-elect": "false",
            "allocate-node-cidrs": "false",
            "bind-address": "127.0.0.1",
            "secure-port": port,
            "cert-dir": self.folder / "controller-manager",
        }
        command = [str(program("kube-controller-manager"))]
        command += [f"--{name}={value}" for name, value in settings.items()]
        self._run(
            "kube-controller-manager", command, lambda: self._answers(f"https://127.0.0.1:{port}/healthz")
        )

    def _answers(self, url: str) -> bool:
        try:
            # The controllers' port has a certificate of its own; whether it answers is all that is asked.
            return httpx.get(url, verify=False, trust_env=False, timeout=5).status_code == 200  # noqa: S501
        except httpx.HTTPError:
            return False
