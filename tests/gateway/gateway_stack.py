"""The gateway's real configuration in the real HAProxy of this host, paced stand-ins for ilab behind it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jinja2

from tests.ports import free_ports

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "roles/private_model/templates/gateway"
STAND_IN = ROOT / "tests/standins/paced_model.py"
KEY, OTHER_KEY, INNER_KEY = "pai_first-key-of-the-test", "pai_second-key-of-the-test", "inner-key-of-the-test"


def wait_until(condition: Callable[[], Any], seconds: float = 15, what: str = "") -> Any:
    """The first true value of `condition`; AssertionError when it stays false."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what or condition}")


class Replica:
    """One paced stand-in."""

    def __init__(self, rate: float, tokens: int, keep_alive: int = 0) -> None:
        self.port, self.stats_port = free_ports(2)
        self.arguments = [
            sys.executable,
            str(STAND_IN),
            f"--port={self.port}",
            f"--stats-port={self.stats_port}",
            f"--rate={rate}",
            f"--tokens={tokens}",
            "--limit-concurrency=2",
            f"--keep-alive={keep_alive}",
            f"--api-key={INNER_KEY}",
        ]
        self.start()
        wait_until(lambda: self.stats(), what="the stand-in starts")

    def start(self) -> None:
        """Start it, or start it again after a crash; without waiting."""
        self.process = subprocess.Popen(self.arguments, stderr=subprocess.DEVNULL)

    def stats(self) -> dict[str, Any]:
        """What it counted; empty while it does not answer."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.stats_port}/_stats", timeout=5).json()
        except httpx.HTTPError:
            return {}

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


class Gateway:
    """HAProxy with the role's template. `mutate` changes the configuration's text, to see a test fail."""

    def __init__(
        self, folder: Path, replicas: list[Replica], mutate: Callable[[str], str] = str, **settings: Any
    ) -> None:
        self.replicas = replicas
        self.folder = folder
        self.port, self.metrics_port = free_ports(2)
        self.keys_file = folder / "api-keys.sha256"
        self.config = folder / "haproxy.cfg"
        self.log = folder / "haproxy.log"
        self.mutate = mutate
        self.variables: dict[str, Any] = {
            "__private_model_gateway_bind": f"127.0.0.1:{self.port}",
            "__private_model_gateway_metrics_bind": f"127.0.0.1:{self.metrics_port}",
            "__private_model_gateway_allowed_sources": [],
            "__private_model_gateway_keys_file": str(self.keys_file),
            "__private_model_gateway_queue_limit": 100,
            "__private_model_gateway_queue_timeout": 60,
            "__private_model_gateway_body_limit": 131072,
            "__private_model_gateway_bufsize": 131072 + 16384,
            "__private_model_gateway_server_timeout": 60,
            "__private_model_gateway_drain_timeout": 60,
            "__private_model_gateway_retries": 50,
            "__private_model_gateway_replicas": [
                {"name": f"model-{number}", "address": "127.0.0.1", "port": replica.port}
                for number, replica in enumerate(replicas, 1)
            ],
        }
        self.variables |= {f"__private_model_gateway_{name}": value for name, value in settings.items()}
        self.allow(KEY)
        self.write()
        self.output = self.log.open("wb")
        self.process = subprocess.Popen(
            ["haproxy", "-W", "-db", "-f", str(self.config)],
            env={**os.environ, "ILAB_KEY": INNER_KEY},
            stdout=self.output,
            stderr=self.output,
        )
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", timeout=90, headers={"Authorization": f"Bearer {KEY}"}
        )
        wait_until(self._up, what=f"the gateway starts: {self.log.read_text()}")

    def _up(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.client.get("/gateway/status").json()["up"] == len(self.replicas)
        except (httpx.HTTPError, ValueError):
            return False

    def render(self, name: str, **extra: Any) -> str:
        """One of the role's templates with these variables."""
        environment = jinja2.Environment(  # noqa: S701 - no HTML
            loader=jinja2.FileSystemLoader(TEMPLATES),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            keep_trailing_newline=True,
        )
        environment.filters["to_json"] = json.dumps
        return environment.get_template(name).render(
            ansible_managed="Made by a test", **self.variables, **extra
        )

    def allow(self, *keys: str) -> None:
        """Write the hashes of the keys that callers may use."""
        hashes = [hashlib.sha256(key.encode()).hexdigest() for key in keys]
        self.keys_file.write_text(self.render("api-keys.sha256.j2", __private_model_key_hashes=hashes))

    def write(self) -> None:
        """Write the configuration as it would be now."""
        self.config.write_text(
            self.mutate(
                self.render("haproxy.cfg.j2").replace(
                    "stats socket /tmp/haproxy.sock", f"stats socket {self.folder}/haproxy.sock"
                )
            )
        )

    def reload(self) -> None:
        """New workers with the files as they are now; running answers go on in the old ones."""
        loaded = self.log.read_text().count("Loading success")
        for _ in range(5):
            self.process.send_signal(signal.SIGUSR2)
            try:
                wait_until(lambda: self.log.read_text().count("Loading success") > loaded, 3)
                return
            except AssertionError:
                # HAProxy 3.0 loses a signal that comes within milliseconds of a start.
                continue
        raise AssertionError(f"no new worker after five signals: {self.log.read_text()}")

    def status(self) -> dict[str, int]:
        return self.client.get("/gateway/status").json()

    def metrics(self) -> str:
        return httpx.get(f"http://127.0.0.1:{self.metrics_port}/metrics").text

    def stop(self) -> None:
        self.client.close()
        self.process.terminate()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.output.close()
