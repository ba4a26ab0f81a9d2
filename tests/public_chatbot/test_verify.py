"""playbooks/verify.yml: what it says of a side that works and of one that does not; its status and report."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.gateway_stack import INNER_KEY, Replica, free_ports, wait_until
from tests.public_chatbot.place import ROOT, Place, environ

KEY = "key-of-the-test-0123456789"
IMAGE = "registry.example.com/chat/chatbot@sha256:" + "0" * 64
#: Where a cluster's Services have ports of the nodes.
NODE_PORTS = range(30000, 32767)


@pytest.fixture
def model() -> Iterator[Replica]:
    """The paced stand-in for a model."""
    one = Replica(rate=100, tokens=20)
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


def verify(folder: Path, **variables: Any) -> tuple[int, dict[str, Any], str]:
    """Run the playbook on this host as the public side: status, report, output."""
    host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, **variables}
    inventory = folder / "inventory.json"
    inventory.write_text(json.dumps({"public": {"hosts": {"web": host}}}))
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory)]
    command += ["-e", f"verify_report={report}", str(ROOT / "playbooks/verify.yml")]
    done = subprocess.run(
        command, cwd=ROOT, env=environ(), capture_output=True, text=True, timeout=300, check=False
    )
    return done.returncode, json.loads(report.read_text()), done.stdout + done.stderr


def lines(report: dict[str, Any]) -> dict[str, tuple[bool, str]]:
    """What was found, by its name."""
    return {one["name"]: (one["ok"], one["line"]) for one in report["checks"]}


def test_a_page_that_answers_and_one_that_does_not(tmp_path: Path, page: int, model: Replica) -> None:
    status, report, _said = verify(tmp_path, public_chatbot_platform="podman", public_chatbot_port=page)
    assert status == 0 and report["ok"] and report["not_looked_at"] == []
    good, line = lines(report)["answer"]
    assert good and "answers, first token after " in line and " s: The model stays on its own host" in line
    model.stop()
    status, report, said = verify(tmp_path, public_chatbot_platform="podman", public_chatbot_port=page)
    good, line = lines(report)["answer"]
    assert status != 0 and not report["ok"] and not good and "FAILED to answer: " in line
    assert "FAILED to answer" in said


def test_the_form_on_a_cluster(tmp_path: Path, page: int, place: Place) -> None:
    given: dict[str, Any] = {
        "public_chatbot_exposure": "nodeport",
        "public_chatbot_node_port": page,
        "public_chatbot_host": "127.0.0.1",
        "public_chatbot_image": IMAGE,
        "public_chatbot_api_key": KEY,
    }
    assert place.play(**given).changed == 1
    before = place.fingerprint()
    reach = {"kubeconfig": str(place.kubeconfig)}
    options: dict[str, Any] = {
        "public_chatbot_kubernetes": reach,
        "public_chatbot_namespace": place.namespace,
    }
    status, report, _said = verify(tmp_path, **given, **options)
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
    good, line = lines(verify(tmp_path, **given, **options)[1])["listener"]
    assert not good and "FAILED: no network policy keeps the listener" in line
