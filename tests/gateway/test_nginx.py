"""The distribution's NGINX as a plain reverse proxy of the page, told nothing but where the page is."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from tests.cluster.processes import found
from tests.gateway.gateway_stack import INNER_KEY, ROOT, Replica, free_ports, wait_until

#: Where Debian keeps what it says about NGINX; what others put beside it is not read.
DEBIAN = Path("/etc/nginx/nginx.conf")
#: Longer than NGINX waits for a word of the page: 60 s.
SILENCE = 65


def configuration(folder: Path, page: str, port: int) -> str:
    """Debian's own, but for its places, and one site."""
    text = DEBIAN.read_text()
    others = "include /etc/nginx/conf.d/*.conf;", "include /etc/nginx/modules-enabled/*.conf;"
    for one in others:
        assert one in text, f"{DEBIAN} has no line {one}"
        text = text.replace(one, "")
    for place in ("/run/nginx.pid", "/var/log/nginx/error.log", "/var/log/nginx/access.log"):
        text = text.replace(place, str(folder / Path(place).name))
    site = f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {page}; }} }}"
    before, marked, after = text.partition("include /etc/nginx/sites-enabled/*;")
    assert marked, f"{DEBIAN} includes no sites"
    return f"{before}{site}{after}"


def answers(url: str) -> bool:
    """Whether the page is served there."""
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
    return False


@pytest.fixture
def behind_nginx(tmp_path: Path) -> Iterator[Callable[[float], str]]:
    """Starts a model of so many tokens a second, the page before it, and NGINX; returns NGINX's address."""
    processes: list[subprocess.Popen[bytes]] = []
    models: list[Replica] = []

    def start(rate: float) -> str:
        models.append(Replica(rate=rate, tokens=100))
        page_port, metrics_port, port = free_ports(3)
        settings = {
            "ADDRESS": f"http://127.0.0.1:{models[-1].port}",
            "API_KEY": INNER_KEY,
            "HOST": "127.0.0.1",
            "PORT": str(page_port),
            "METRICS_PORT": str(metrics_port),
            "PYTHONPATH": str(ROOT / "chatbot_app/src"),
        }
        command = [sys.executable, "-m", "private_ai_chatbot"]
        processes.append(subprocess.Popen(command, env={**os.environ, **settings}, stdout=subprocess.DEVNULL))
        page = f"http://127.0.0.1:{page_port}"
        file = tmp_path / "nginx.conf"
        file.write_text(configuration(tmp_path, page, port))
        nginx = [found("nginx", "nginx"), "-c", str(file), "-g", "daemon off;"]
        processes.append(subprocess.Popen(nginx))
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(url), seconds=60, what="the page is served by NGINX")
        return url

    yield start
    for process in reversed(processes):
        process.terminate()
        process.wait()
    for model in models:
        model.stop()


def tokens(url: str) -> Iterator[float]:
    """The moments at which the words of an answer come."""
    body = {"messages": [{"role": "user", "content": "Hi"}], "stream": True, "max_tokens": 20}
    with (
        httpx.Client(timeout=SILENCE + 60, trust_env=False) as client,
        client.stream("POST", f"{url}/v1/chat/completions", json=body) as response,
    ):
        assert response.status_code == 200, response.read()
        for line in response.iter_lines():
            if '"content":' in line or '"reasoning_content":' in line:
                yield time.monotonic()


def test_words_come_one_by_one(behind_nginx: Callable[[float], str]) -> None:
    moments = list(tokens(behind_nginx(5)))
    assert len(moments) > 10
    # Kept back by a buffer they would come together; a busy machine lets a few do so.
    assert statistics.median(later - former for former, later in pairwise(moments)) > 0.05


def test_an_answer_outlives_the_proxys_patience(behind_nginx: Callable[[float], str]) -> None:
    words = tokens(behind_nginx(1 / SILENCE))
    first = next(words)
    assert next(words) - first > 60
