"""playbooks/verify.yml: what it says of a side that works and of one that does not; its status and report."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.cni import conflist

from tests.cluster.pki import Authority
from tests.gateway.gateway_stack import INNER_KEY, Replica, wait_until
from tests.ports import free_ports
from tests.public_chatbot.place import ROOT, Place
from tests.public_chatbot.verification import lines, verify

KEY = "key-of-the-test-0123456789"
IMAGE = "registry.example.com/chat/chatbot@sha256:" + "0" * 64
TLS = {"type": "kubernetes.io/tls"}
#: Where a cluster's Services have ports of the nodes.
NODE_PORTS = range(30000, 32767)


@pytest.fixture
def model(request: pytest.FixtureRequest) -> Iterator[Replica]:
    """The paced stand-in for a model; a parameter is how many tokens a second it says."""
    one = Replica(rate=getattr(request, "param", 100), tokens=20)
    yield one
    one.stop()


@pytest.fixture
def page(model: Replica) -> Iterator[int]:
    """The chatbot's server before it, on a port that a node could have; its port."""
    metrics_port = free_ports(1)[0]
    port = next(one for one in NODE_PORTS if is_free(one))
    settings = {
        "ADDRESS": f"http://127.0.0.1:{model.port}",
        "API_KEY": INNER_KEY,
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "METRICS_PORT": str(metrics_port),
        "PYTHONPATH": str(ROOT / "chatbot_app/src"),
    }
    command = [sys.executable, "-m", "private_ai_chatbot"]
    process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=subprocess.DEVNULL)

    def healthy() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code == 200
        return False

    wait_until(healthy, seconds=60, what="the chatbot starts")
    yield port
    process.kill()
    process.wait()


def is_free(port: int) -> bool:
    """Whether nobody listens there."""
    with contextlib.suppress(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{port}/", trust_env=False, timeout=1)
        return False
    return True


@pytest.fixture
def keeper(page: int) -> Iterator[int]:
    """A proxy that keeps every answer back until it is whole; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name: self.headers[name] for name in ("Content-Type", "X-Chatbot-Events")}
            url = f"http://127.0.0.1:{page}{self.path}"
            answer = httpx.post(url, content=body, headers=headers, timeout=60, trust_env=False)
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def here(port: int) -> dict[str, Any]:
    """The variables of a chatbot in Podman on this host."""
    return {"public_chatbot_platform": "podman", "public_chatbot_port": port}


def test_a_page_that_answers_and_one_that_does_not(tmp_path: Path, page: int, model: Replica) -> None:
    status, report, _said = verify(tmp_path, here(page))
    assert status == 0 and report["ok"] and report["not_looked_at"] == []
    good, line = lines(report)["answer"]
    assert good and "answers, first token after " in line and " s: The model stays on its own host" in line
    model.stop()
    status, report, said = verify(tmp_path, here(page))
    good, line = lines(report)["answer"]
    assert status != 0 and not report["ok"] and not good and "FAILED to answer: " in line
    assert "FAILED to answer" in said


@pytest.mark.parametrize("model", [10], indirect=True)
def test_a_proxy_that_keeps_words_back(tmp_path: Path, page: int, keeper: int) -> None:
    status, report, _said = verify(tmp_path, here(page))
    good, line = lines(report)["streaming"]
    assert status == 0 and good and "web: words come as they are said, " in line
    status, report, said = verify(tmp_path, here(keeper))
    found = lines(report)
    assert found["answer"][0], "the answer itself is whole"
    good, line = found["streaming"]
    assert status != 0 and not good and "FAILED: the words come together at the end" in line
    assert "switch off its buffering" in " ".join(said.split())


def test_the_form_on_a_cluster(tmp_path: Path, page: int, place: Place) -> None:
    given: dict[str, Any] = {
        "public_chatbot_exposure": "nodeport",
        "public_chatbot_node_port": page,
        "public_chatbot_image": IMAGE,
        "public_chatbot_api_key": KEY,
    }
    assert place.play(**given).changed == 1
    # It asks on the node where a ready pod is.
    place.pod_on("127.0.0.1")
    before = place.fingerprint()
    reach = {"kubeconfig": str(place.kubeconfig)}
    options: dict[str, Any] = {
        "public_chatbot_kubernetes": reach,
        "public_chatbot_namespace": place.namespace,
    }
    status, report, _said = verify(tmp_path, {**given, **options})
    assert place.fingerprint() == before, "the verification wrote something"
    found = lines(report)
    assert found["answer"][0] and f"http://127.0.0.1:{page}/ answers" in found["answer"][1]
    assert found["listener"] == (True, "web: a network policy keeps the listener for the chatbot")
    assert found["certificates"][0]
    # No kubelet runs here, so nobody can try to leave.
    no_pod = (False, "web: FAILED: no pod could try to reach the private host")
    assert status != 0 and found["way to the private host"] == no_pod
    edited = {"metadata": {"labels": {"private-ai.chatbot/set": None}}}
    place.edit("NetworkPolicy", "chatbot-listener", edited)
    certificate, key = Authority(tmp_path).issue("soon", "soon", addresses=("soon.example.com",))
    data = {"tls.crt": certificate.read_text(), "tls.key": key.read_text()}
    metadata = {"name": "ends-soon"}
    place.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data, **TLS})
    found = lines(verify(tmp_path, {**given, **options})[1])
    good, line = found["listener"]
    assert not good and "FAILED: no network policy keeps the listener" in line
    good, line = found["certificates"]
    assert not good and "FAILED: ends-soon end(s) within 30 days" in line


def test_a_private_side_that_is_open(tmp_path: Path, page: int) -> None:
    class Gateway(http.server.BaseHTTPRequestHandler):
        """A stand-in for a gateway that lets everybody in."""

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    # A stand-in for Podman, with two containers of the model, which have a default route, and networks.
    tight = {"name": "tight", "internal": True, "dns_enabled": False}
    old = {"name": "old", "subnet": "10.0.0.0/24", "internal": True}
    networks = [
        tight,
        {**tight, "name": "answers-names", "dns_enabled": True},
        {**tight, "name": "leads-out", "internal": False},
        conflist(old),
        {
            **conflist(old),
            "name": "old-answers-names",
            "plugins": [*conflist(old)["plugins"], {"type": "dnsname"}],
        },
        conflist({**old, "name": "old-leads-out", "internal": False}),
    ]
    (tmp_path / "networks.json").write_text(json.dumps(networks))
    on = json.dumps({one["name"]: {} for one in networks})
    program = tmp_path / "podman"
    program.write_text(
        "#!/bin/sh\n"
        # As it refuses a loop for more than one container.
        'case "$*" in *"{{range"*) exit 125 ;; esac\n'
        'case "$1" in\n'
        "ps) printf 'private-ai-model-1\\nprivate-ai-model-2\\n' ;;\n"
        "exec) printf 'Iface\\tDestination\\tGateway\\neth0\\t00000000\\t0100000A\\n' ;;\n"
        f"inspect) printf '%s\\n' '{on}' '{on}' ;;\n"
        f"network) cat {tmp_path}/networks.json ;;\n"
        "esac\n"
    )
    program.chmod(0o755)
    server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Gateway)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_port
    try:
        gateway = {"private_model_gateway_port": port, "private_model_gateway_metrics_port": free_ports(1)[0]}
        status, report, _said = verify(tmp_path, here(page), gateway, tmp_path)
    finally:
        server.shutdown()
        server.server_close()
    found = lines(report)
    assert status != 0 and found["answer"][0]
    for name, words in (
        ("wrong key", "model: a wrong key and none are FAILED to be refused: 200 and 200"),
        ("listening sockets", f"FAILED to be on loopback only: 0.0.0.0:{port}"),
        ("way out of the model", "2 model container(s) FAILED: private-ai-model-1"),
    ):
        good, line = found[name]
        assert not good and words in line, line
    leaks = re.findall(
        r"network (\S+) is not internal or has a name server", found["way out of the model"][1]
    )
    assert leaks == ["answers-names", "leads-out", "old-answers-names", "old-leads-out"]
