"""The real application with the paced model behind it, as processes of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

from tests.ports import free_ports

ROOT = Path(__file__).resolve().parent.parent.parent
MODEL = ROOT / "tests" / "standins" / "paced_model.py"
SOURCE = ROOT / "chatbot_app" / "src"
SYSTEM_PROMPT = "Answer briefly and in the language of the question."
START_SECONDS = 30


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return when `url` answers with success; raises RuntimeError saying what was last seen."""
    last = "nothing"
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with status {process.returncode} while starting")
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except (urllib.error.URLError, OSError) as error:
            last = str(error)
        time.sleep(0.1)
    raise RuntimeError(f"{url} did not answer within {START_SECONDS} s; last: {last}")


class RealStack:
    """`url` of the page; `stats()` of the model, None when only CHATBOT_URL is known."""

    def __init__(self, url: str, stats_url: str | None, processes: list[subprocess.Popen[bytes]]) -> None:
        self.url = url
        self.stats_url = stats_url
        self.processes = processes

    @classmethod
    def start(cls, rate: int, tokens: int) -> RealStack:
        """Start a model that writes `tokens` at `rate` per second and the application, or use CHATBOT_URL."""
        given = os.environ.get("CHATBOT_URL")
        if given:
            return cls(given.rstrip("/") + "/", None, [])
        model_port, stats_port, port, metrics_port = free_ports(4)
        stack = cls(f"http://127.0.0.1:{port}/", f"http://127.0.0.1:{stats_port}/_stats", [])
        try:
            stack.run(
                [
                    sys.executable,
                    str(MODEL),
                    "--port",
                    str(model_port),
                    "--stats-port",
                    str(stats_port),
                    "--rate",
                    str(rate),
                    "--tokens",
                    str(tokens),
                ],
                {},
                stack.stats_url or "",
            )
            stack.run(
                [sys.executable, "-m", "private_ai_chatbot"],
                {
                    "ADDRESS": f"http://127.0.0.1:{model_port}",
                    "HOST": "127.0.0.1",
                    "PORT": str(port),
                    "METRICS_PORT": str(metrics_port),
                    "MODEL_NAME": "paced stand-in",
                    "API_KEY": "not-a-secret",
                    "SYSTEM_PROMPT": SYSTEM_PROMPT,
                    "RATE_LIMIT_PER_MINUTE": "1000",
                    "MAX_MESSAGE_CHARS": "500",
                    "PYTHONPATH": str(SOURCE),
                    "LOG_LEVEL": "warning",
                },
                stack.url + "healthz",
            )
        except BaseException:
            stack.stop()
            raise
        return stack

    def run(self, command: list[str], environment: dict[str, str], ready: str) -> None:
        """Start one process and wait until it answers."""
        process = subprocess.Popen(command, env={**os.environ, **environment})
        self.processes.append(process)
        wait_for(ready, process)

    def stats(self) -> dict[str, Any] | None:
        """What the model did: {open_streams, started, finished, cancelled, rejected}."""
        if self.stats_url is None:
            return None
        with urllib.request.urlopen(self.stats_url, timeout=5) as response:
            return dict(json.load(response))

    def stop(self) -> None:
        """End the processes, the last started first."""
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
