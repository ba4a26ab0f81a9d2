"""The distribution's NGINX as a plain reverse proxy of the page, told nothing but where the page is."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.cluster.processes import found
from tests.gateway.gateway_stack import INNER_KEY, ROOT, Replica, wait_until
from tests.ports import free_ports

#: Where Debian keeps what it says about NGINX; what others put beside it is not read.
DEBIAN = Path("/etc/nginx/nginx.conf")
#: Longer than NGINX waits for a word of the page: 60 s.
SILENCE = 65
LOG = "warnings.log"


def configuration(folder: Path, page: str, port: int, more: str) -> str:
    """Debian's own, but for its places, and one site that warns, has a small buffer, and `more`."""
    text = DEBIAN.read_text()
    others = "include /etc/nginx/conf.d/*.conf;", "include /etc/nginx/modules-enabled/*.conf;"
    for one in others:
        assert one in text, f"{DEBIAN} has no line {one}"
        text = text.replace(one, "")
    for place in ("/run/nginx.pid", "/var/log/nginx/error.log", "/var/log/nginx/access.log"):
        text = text.replace(place, str(folder / Path(place).name))
    log = f"error_log {folder / LOG} warn;"
    site = (
        f"server {{ listen 127.0.0.1:{port} sndbuf=16k; {log} {more} location / {{ proxy_pass {page}; }} }}"
    )
    before, marked, after = text.partition("include /etc/nginx/sites-enabled/*;")
    assert marked, f"{DEBIAN} includes no sites"
    return f"{before}{site}{after}"


def answers(url: str) -> bool:
    """Whether the page is served there."""
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
    return False


@pytest.fixture
def behind_nginx(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts a model of so many tokens a second, the page before it, and NGINX; returns NGINX's address."""
    processes: list[subprocess.Popen[bytes]] = []
    models: list[Replica] = []

    def start(rate: float, count: int = 100, more: str = "") -> str:
        models.append(Replica(rate=rate, tokens=count))
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
        file.write_text(configuration(tmp_path, page, port, more))
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


def test_words_come_one_by_one(behind_nginx: Callable[..., str]) -> None:
    moments = list(tokens(behind_nginx(5)))
    assert len(moments) > 10
    # Kept back by a buffer they would come together; a busy machine lets a few do so.
    assert statistics.median(later - former for former, later in pairwise(moments)) > 0.05


def test_an_answer_outlives_the_proxys_patience(behind_nginx: Callable[..., str]) -> None:
    words = tokens(behind_nginx(1 / SILENCE))
    first = next(words)
    assert next(words) - first > 60


@pytest.mark.parametrize(
    "more, swallowed",
    [("", False), ("proxy_ignore_headers X-Accel-Buffering;", True)],
    ids=["as it is", "without X-Accel-Buffering"],
)
def test_no_answer_is_left_on_the_proxys_disk(
    behind_nginx: Callable[..., str], tmp_path: Path, more: str, swallowed: bool
) -> None:
    """NGINX hands words on at once in any case; but of a visitor who is slow it keeps them, if it may."""
    url = urlsplit(behind_nginx(5000, 2000, more))
    body = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "stream": True})
    request = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
    )
    log = tmp_path / LOG

    def kept() -> bool:
        return "an upstream response is buffered to a temporary file" in log.read_text()

    with socket.socket() as visitor:
        visitor.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        visitor.connect((url.hostname, url.port))
        visitor.sendall(request.encode())
        beginning = visitor.recv(1000)
        assert beginning.startswith(b"HTTP/1.1 200"), beginning
        if swallowed:
            wait_until(kept, 60, "NGINX keeps the answer of a visitor who does not read")
        else:
            # Many times what NGINX holds in memory is said meanwhile.
            time.sleep(5)
            assert not kept()
