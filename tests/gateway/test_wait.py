"""How the role waits for replicas: for as long as the setting says, however slow the gateway answers.

The gateway is a stand-in here that only tells how many replicas it reaches.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.playbook import run_playbook


@contextmanager
def gateway(reached: list[int], seconds: float) -> Iterator[tuple[int, list[str]]]:
    """Its port, and what it was asked; each answer takes so long and tells the next of the numbers."""
    asked: list[str] = []

    class Status(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers['Authorization']}")
            time.sleep(seconds)
            body = json.dumps({"up": reached[min(len(asked), len(reached)) - 1]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Status)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1], asked
    server.shutdown()
    server.server_close()


def up(folder: Path, port: int, wanted: int, timeout: int) -> int:
    """The number that the role has in the end."""
    role = {"name": "private_ai.chatbot.private_model", "tasks_from": "gateway_up"}
    found = {"content": "{{ __private_model_status.json.up }}", "dest": str(folder / "up")}
    variables = {
        "ansible_python_interpreter": sys.executable,
        "private_model_api_keys": ["key"],
        "private_model_gateway_port": port,
        "private_model_start_timeout": timeout,
        "__private_model_up_wanted": wanted,
    }
    steps = [{"ansible.builtin.include_role": role}, {"ansible.builtin.copy": found}]
    play = {"hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": steps}
    (folder / "play.json").write_text(json.dumps([play]))
    run_playbook("-i", "localhost,", "-c", "local", folder / "play.json")
    return int((folder / "up").read_text())


def test_slow_answers_make_the_wait_no_longer(tmp_path: Path) -> None:
    """Six seconds, of which each question takes four and a pause: two fit, and not six."""
    with gateway([0], seconds=4) as (port, asked):
        assert up(tmp_path, port, wanted=1, timeout=6) == 0
    assert 1 <= len(asked) <= 2 and set(asked) == {"/gateway/status Bearer key"}


def test_it_ends_when_the_replicas_are_there(tmp_path: Path) -> None:
    with gateway([0, 1, 2, 3], seconds=0) as (port, asked):
        assert up(tmp_path, port, wanted=2, timeout=300) == 2
    assert len(asked) == 3


def test_it_asks_once_when_nothing_is_wanted(tmp_path: Path) -> None:
    with gateway([0], seconds=0) as (port, asked):
        assert up(tmp_path, port, wanted=0, timeout=300) == 0
    assert len(asked) == 1
