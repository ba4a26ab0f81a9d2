"""How a site's router runs: as a process of this host, or not at all. As a pod: see `pods`."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ..kube import Object
from ..model.kinds import spec_of
from ..router.adaptor import CONFIG, STATUS, Files, News, publish, read_status, write_files
from .parts import Parts
from .world import log, owner

INCOMPLETE = "containers with incomplete status: [config-init]"
UNREADY = "containers with unready status: [router kube-adaptor]"
ALMOST = "containers with unready status: [router]"
ROOT = Path(__file__).resolve().parents[4]


class Runner(Parts):
    """Runs no router: sites become Ready, and nothing moves."""

    listen_host = "127.0.0.1"

    def ensure(self, namespace: str) -> None:
        """The site's configuration is there, or is another now."""
        self.controller.sites.running(namespace, "")

    def stop(self, namespace: str) -> None:
        """The site is gone."""

    def stop_all(self) -> None:
        """The controller ends."""

    def pod_changed(self, namespace: str) -> None:
        """A pod of the namespace has changed."""

    def port(self, secured: Object, role: Object) -> int:
        """Where the router listens for a role of link access."""
        return int(role["port"])

    def bind_host(self) -> str:
        """On which address."""
        return ""

    def endpoints(self, secured: Object, service: Object, type_: str) -> list[Object]:
        """The addresses of link access; none while they are not known."""
        ports = spec_of(secured)["ports"]
        return [
            {"name": role["name"], "host": self.options.host, "port": str(self.port(secured, role))}
            for role in ports
        ]

    def listener_address(self, namespace: str, name: str) -> tuple[str, int] | None:
        """Where a listener is reached on this host, if not by its Service."""
        return None

    def listener_port(self, namespace: str, name: str) -> int:
        """Where the router listens for a listener."""
        return self.controller.listeners.target_port(namespace, name)


@dataclass
class _Process:
    """A router that runs."""

    folder: Path
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    news: News
    due: float
    uid: str
    stages: list[str] = field(default_factory=lambda: [INCOMPLETE, UNREADY, ALMOST, ""])


class Processes(Runner):
    """Routers as processes of this host; every port that they need is one that was free."""

    def __init__(self, controller: object) -> None:
        super().__init__(controller)  # type: ignore[arg-type]
        self.folder = Path(tempfile.mkdtemp(prefix="skupper-routers-"))
        self._ports: dict[tuple[str, ...], int] = {}
        self._running: dict[str, _Process] = {}

    def _free(self, *key: str) -> int:
        if key not in self._ports:
            with socket.create_server((self.options.host, 0)) as probe:
                self._ports[key] = probe.getsockname()[1]
        return self._ports[key]

    def port(self, secured: Object, role: Object) -> int:
        """A free port for each role of each access."""
        metadata = secured["metadata"]
        return self._free(metadata["namespace"], metadata["name"], role["name"])

    def bind_host(self) -> str:
        """The address that links are told."""
        return self.options.host

    def listener_address(self, namespace: str, name: str) -> tuple[str, int] | None:
        """A free port of this host."""
        return self.listen_host, self._free(namespace, "", name)

    def listener_port(self, namespace: str, name: str) -> int:
        """The same."""
        return self._free(namespace, "", name)

    def _secret(self, namespace: str, name: str) -> Files | None:
        found = self.world.find("Secret", namespace, name)
        data = (found or {}).get("data") or {}
        return {key: base64.b64decode(value) for key, value in data.items()} if found else None

    def ensure(self, namespace: str) -> None:
        """Write the router's files, and start it where it does not run."""
        config = self.world.find("ConfigMap", namespace, "skupper-router")
        site = self.active_site(namespace)
        if config is None or site is None:
            return
        folder = self.folder / namespace
        write_files(folder, config["data"][CONFIG], lambda name: self._secret(namespace, name))
        if namespace not in self._running:
            self._start(namespace, site)

    def _start(self, namespace: str, site: Object) -> None:
        folder = self.folder / namespace
        (folder / STATUS).unlink(missing_ok=True)
        output = (folder / "router.log").open("ab")
        uid = site["metadata"]["uid"]
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SSL_PROFILE_BASE_PATH": str(folder),
            "HOSTNAME": f"{site['metadata']['name']}-{uid[:8]}",
        }
        command = [sys.executable, "-m", "tests.standins.skupper.router", "-c", str(folder / CONFIG)]
        command += ["--watch", "--while-stdin", "--status", str(folder / STATUS)]
        # It ends when its standard input does: also when this process is killed.
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=output, env=environment, cwd="/"
        )
        due = time.monotonic() + self.habits.starting
        self._running[namespace] = _Process(folder, process, output, News(self.habits.delays), due, uid)
        self.world.later(0.02, lambda: self._look(namespace, uid), once=("router", namespace, uid))

    def _look(self, namespace: str, uid: str) -> None:
        one, site = self._running.get(namespace), self.active_site(namespace)
        if one is None or site is None or one.uid != uid:
            return
        self.world.later(0.1, lambda: self._look(namespace, uid), once=("router", namespace, uid))
        if one.process.poll() is not None:
            log(f"the router of {namespace} ended with {one.process.returncode}: {one.folder}/router.log")
            del self._running[namespace]
            self.controller.sites.running(namespace, UNREADY)
            self._start(namespace, site)
            return
        network = read_status(one.folder)
        while one.stages and time.monotonic() >= one.due and (network is not None or one.stages[0]):
            self.controller.sites.running(namespace, one.stages.pop(0))
            one.due += self.habits.starting
        told = one.news.look(network, time.monotonic()) if network is not None else None
        if told is not None:
            publish(self.world.kube, namespace, told, owner(site))

    def stop(self, namespace: str) -> None:
        """End the router, and forget its files and ports."""
        one = self._running.pop(namespace, None)
        if one is None:
            return
        one.process.terminate()
        try:
            one.process.wait(5)
        except subprocess.TimeoutExpired:
            one.process.kill()
            one.process.wait()
        assert one.process.stdin
        one.process.stdin.close()
        one.log.close()
        shutil.rmtree(one.folder, ignore_errors=True)
        for key in [key for key in self._ports if key[0] == namespace]:
            del self._ports[key]

    def stop_all(self) -> None:
        """End all of them."""
        for namespace in list(self._running):
            self.stop(namespace)
        shutil.rmtree(self.folder, ignore_errors=True)
