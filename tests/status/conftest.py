"""A private host with a real gateway, a public one with the real chatbot; Podman is played by bin/podman."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.gateway.gateway_stack import KEY, ROOT, Gateway, Replica, wait_until
from tests.playbook import run_playbook
from tests.ports import free_ports

PROMPT = "canary prompt: what is the weather on the moon"
SECRETS = {
    "key": KEY,
    "token": "hf_canaryTokenOfTheTest0001",
    "inner": "inner-canary-of-the-test-7",
    "password": "canary-password-8",
    "pem": "MIICANARYKEYOFTHETEST",
}


class Site:
    """Both sides of the solution on this machine, by an inventory of two hosts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.replica = Replica(rate=500, tokens=5)
        self.gateway = Gateway(folder, [self.replica])
        self.port, self.metrics_port, self.closed = free_ports(3)
        settings = {
            "ADDRESS": f"http://127.0.0.1:{self.gateway.port}",
            "API_KEY": KEY,
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "METRICS_PORT": str(self.metrics_port),
            "PYTHONPATH": str(ROOT / "chatbot_app/src"),
        }
        self.chatbot = subprocess.Popen(
            [sys.executable, "-m", "private_ai_chatbot"],
            env={**os.environ, **settings},
            stdout=subprocess.DEVNULL,
        )
        self.data = folder / "data"
        (self.data / "models").mkdir(parents=True)
        (self.data / "gateway").mkdir()
        (self.data / "api-key").write_text(KEY + "\n")
        self.given: dict[str, Any] = {}
        self.listing = ["private-ai-gateway", "private-ai-model-1", "private-ai-chatbot"]
        self.podman()

    def podman(self) -> None:
        """What the stand-in for Podman tells."""
        place = self.folder / "podman"
        place.mkdir(exist_ok=True)
        listed = [
            {"Names": [name], "State": "running", "Ports": [], "Networks": ["private-ai-edge"]}
            for name in self.listing
        ]
        (place / "ps.json").write_text(json.dumps(listed))
        environment = [
            f"API_KEY={KEY}",
            f"ILAB_KEY={SECRETS['inner']}",
            f"SYSTEM_PROMPT={PROMPT}",
            "TEMPERATURE=0.6",
        ]
        request = {"request_id": "id-4711", "status": 200, "outcome": "ok", "prompt": PROMPT}
        logs = [
            json.dumps(request),
            f"Traceback: {PROMPT}",
            f"INFO 2026-11-21 14:46:07,104 instructlab.model.serve_backend:80: token={SECRETS['token']}",
            "llama_context: n_ctx_seq (4096)",
            f"[WARNING] proxy http://me:{SECRETS['password']}@proxy:3128",
        ]
        for name in self.listing:
            inspected = [{"Name": name, "Config": {"Env": environment}, "HostConfig": {}}]
            (place / f"{name}.json").write_text(json.dumps(inspected))
            (place / f"{name}.log").write_text("\n".join(logs) + "\n")
        pem = f"-----BEGIN PRIVATE KEY-----\n{SECRETS['pem']}\n-----END PRIVATE KEY-----\n"
        (self.data / "gateway/haproxy.cfg").write_text(f"global\n  # password: {SECRETS['password']}\n{pem}")

    def play(self, name: str, *arguments: str, reachable: bool = True, expect: int = 0) -> str:
        """Run a playbook as an operator; without `reachable` the public host does not answer."""
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        ssh = {"ansible_host": "127.0.0.1", "ansible_port": self.closed, "ansible_connection": "ssh"}
        private = {
            **local,
            "private_model_data_dir": str(self.data),
            "private_model_gateway_port": self.gateway.port,
            "private_model_gateway_metrics_port": self.gateway.metrics_port,
            **self.given,
        }
        public = {**(local if reachable else ssh), "public_chatbot_port": self.port}
        inventory = self.folder / "inventory.yml"
        hosts = {"private": {"hosts": {"vault": private}}, "public": {"hosts": {"edge": public}}}
        inventory.write_text(yaml.safe_dump(hosts))
        return run_playbook(
            f"--inventory={inventory}",
            ROOT / f"playbooks/{name}.yml",
            *arguments,
            cwd=self.folder,
            expect=expect,
            PODMAN_FOLDER=str(self.folder / "podman"),
            PATH=f"{ROOT / 'tests/status/bin'}:{os.environ['PATH']}",
        )

    def report(self, **how: Any) -> dict[str, Any]:
        """The report of status.yml as its JSON file."""
        path = self.folder / "status.json"
        self.play("status", "-e", f"status_file={path}", **how)
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def stop(self) -> None:
        self.chatbot.kill()
        self.chatbot.wait()
        self.gateway.stop()
        self.replica.stop()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Both sides, up."""
    made = Site(tmp_path)
    try:
        wait_until(lambda: made.gateway.status()["up"] == 1)
        yield made
    finally:
        made.stop()
