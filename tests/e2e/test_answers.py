"""A person asks and the private model answers, through everything that stands between."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import time
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.e2e.quickstart_host import DATA_DIR, PAGE, inspect, podman, replicas, unique

QUESTION = "What is this solution?"


def ask(client: httpx.Client, question: str = QUESTION) -> tuple[str, str]:
    """Ask as the page does; returns (thinking, answer)."""
    thinking, answer, event = "", "", ""
    body = {"messages": [{"role": "user", "content": question}], "stream": True}
    with client.stream(
        "POST", "/v1/chat/completions", json=body, headers={"X-Chatbot-Events": "1"}
    ) as response:
        assert response.status_code == 200, response.read()
        for line in response.iter_lines():
            if line.startswith("event:"):
                event = line[6:].strip()
            elif line.startswith("data:") and line[5:].strip() != "[DONE]":
                data = json.loads(line[5:])
                assert event != "error", data
                if not event:
                    delta = data["choices"][0]["delta"]
                    thinking += delta.get("reasoning_content") or ""
                    answer += delta.get("content") or ""
            elif not line:
                event = ""
    return thinking, answer


def test_the_page_opens(page: httpx.Client) -> None:
    response = page.get("/")
    assert response.status_code == 200
    assert "text/html" in response.headers["content-type"]
    assert "default-src 'none'" in response.headers["content-security-policy"]


def test_a_question_is_answered_by_the_real_model(page: httpx.Client) -> None:
    thinking, answer = ask(page)
    assert "model" in answer.lower(), answer
    assert thinking.strip(), "the demo model thinks before it answers"
    assert "<think>" not in answer + thinking


def logged(container: str, request_id: str) -> dict[str, Any]:
    """The line of a log that names the request; it is written when the answer has gone."""
    end = time.monotonic() + 30
    while not (
        found := [line for line in podman("logs", container).stdout.splitlines() if request_id in line]
    ):
        assert time.monotonic() < end, f"{container} says nothing of {request_id}"
        time.sleep(0.2)
    (line,) = found
    fields: dict[str, Any] = json.loads(line)
    return fields


@pytest.mark.parametrize("given", [{}, {"X-Request-Id": unique("followed")}], ids=["own", "a caller's"])
def test_one_question_is_followed_through_every_log(page: httpx.Client, given: dict[str, str]) -> None:
    """As the role's README says: by its id from the page to the gateway, by the time in the replica."""
    before = time.time()
    body = {"messages": [{"role": "user", "content": QUESTION}], "stream": True}
    answer = page.post("/v1/chat/completions", json=body, headers={"X-Chatbot-Events": "1", **given})
    request_id = answer.headers["x-request-id"]
    assert answer.status_code == 200 and request_id == given.get("X-Request-Id", request_id)
    assert logged("private-ai-chatbot", request_id)["outcome"] == "ok"
    line = logged("private-ai-gateway", request_id)
    assert line["status"] == 200 and f"private-ai-{line['replica']}" in replicas()
    came = datetime.strptime(line["time"], "%d/%b/%Y:%H:%M:%S %z").timestamp()
    assert int(before) <= came <= came + line["total_ms"] / 1000 <= time.time() + 1


def test_a_question_in_portuguese(page: httpx.Client) -> None:
    _, answer = ask(page, "O que é esta solução?")
    assert "modelo" in answer.lower(), answer


def test_the_published_api_answers(page: httpx.Client) -> None:
    response = page.post("/api/completions", json={"question": QUESTION})
    assert response.status_code == 200
    assert "model" in response.json()["response"].lower()


def test_ten_parallel_chats_are_all_answered() -> None:
    async def run() -> list[int]:
        async with httpx.AsyncClient(base_url=PAGE, timeout=120) as client:
            body = {"messages": [{"role": "user", "content": QUESTION}], "stream": False}
            done = await asyncio.gather(*(client.post("/v1/chat/completions", json=body) for _ in range(10)))
            return [response.status_code for response in done]

    assert asyncio.run(run()) == [200] * 10


def test_a_wrong_key_is_refused(gateway: httpx.Client, key: str) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Bearer {key}x"}):
        response = gateway.get("/v1/models", headers=headers)
        assert response.status_code == 401, headers
        assert response.json()["error"]["message"]
    assert gateway.get("/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code == 200


def test_the_gateway_serves_nothing_else(gateway: httpx.Client, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    for path in ("/", "/docs", "/openapi.json", "/v1/embeddings", "/extras/tokenize", "/metrics"):
        assert gateway.get(path, headers=headers).status_code == 404, path
    assert gateway.get("/healthz").status_code == 200
    status = gateway.get("/gateway/status", headers=headers).json()
    assert set(status) == {"queued", "active", "up", "limit"}
    assert status["up"] == len(replicas())


def test_a_replica_that_crashes_comes_back(page: httpx.Client) -> None:
    name = replicas()[0]
    crashed = inspect(name)["State"]["Pid"]
    # Not `podman kill`, after which Podman knows that somebody wanted it.
    os.kill(crashed, signal.SIGKILL)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        state = inspect(name)["State"]
        if state["Running"] and state["Pid"] not in (0, crashed):
            break
        time.sleep(0.5)
    else:
        raise AssertionError(f"{name} did not come back: {inspect(name)['State']}")
    # The page waits patiently for a model that is starting.
    assert "model" in ask(page)[1].lower()


def inner_key() -> str:
    """The key between the gateway and the model servers, from the process of one of them."""
    read = "print(open('/proc/1/environ').read().split('API_KEY=')[1].split(chr(0))[0])"
    return podman("exec", replicas()[0], "python3", "-c", read).stdout.strip()


def test_no_prompt_no_answer_and_no_key_in_any_log(page: httpx.Client, key: str) -> None:
    canary = "canary7391 what is this"
    response = page.post("/api/completions", json={"question": canary}).json()["response"]
    answer, inner = max(response.splitlines(), key=len).strip(), inner_key()
    assert len(answer) >= 15 and len(inner) >= 16 and inner != key, (response, len(inner))
    for name in [*replicas(), "private-ai-gateway", "private-ai-chatbot"]:
        done = podman("logs", name)
        logs = done.stdout + done.stderr
        for kept_out in ("canary7391", answer, key, inner):
            assert kept_out not in logs, name


def test_the_gateways_files_hold_only_the_hash_of_a_key(key: str) -> None:
    text = "".join(path.read_text() for path in (DATA_DIR / "gateway").rglob("*") if path.is_file())
    assert hashlib.sha256(key.encode()).hexdigest() in text
    assert key not in text and inner_key() not in text


def test_the_chatbots_image_is_small() -> None:
    image = inspect("private-ai-chatbot")["Image"]
    assert int(podman("image", "inspect", "--format={{.Size}}", image).stdout) < 200_000_000
