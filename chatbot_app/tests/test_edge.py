"""Headers on every answer, the path prefix, the log and the metrics."""

from __future__ import annotations

import io
import json
import logging
import time

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from private_ai_chatbot import logs
from private_ai_chatbot.app import create_metrics_app
from private_ai_chatbot.edge import CONTENT_SECURITY_POLICY, Edge
from private_ai_chatbot.metrics import Metrics
from private_ai_chatbot.waiting import Backend
from support import Answer, FakeGateway, Running, running

pytestmark = pytest.mark.anyio

CANARY = "canary-4711"


def check_headers(headers: dict[str, str]) -> None:
    assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "camera=()" in headers["permissions-policy"]
    assert headers["x-request-id"]
    assert headers["cache-control"]


async def test_every_answer_has_the_security_headers(gateway: FakeGateway, app: Running) -> None:
    gateway.script = [Answer(), Answer(), Answer(close=True)]
    answers = [
        await app.answer(),
        await app.answer(page=True),
        await app.answer(),
        await app.answer(temperature=9),
        *[
            await app.client.get(path)
            for path in (
                "/",
                "/healthz",
                "/readyz",
                "/v1/models",
                "/api/config",
                "/nothing",
                "/static/nothing.js",
            )
        ],
        await app.client.get("/v1/chat/completions"),
        await app.client.get("/static/../config.py"),
        await app.client.get("/static/%2e%2e/config.py"),
    ]
    for answer in answers:
        check_headers(dict(answer.headers))
    assert answers[-1].status_code == 404
    assert answers[4].headers["cache-control"] == "no-cache"
    for number in (0, 1, 2, 3, 5, 8):
        assert "no-store" in answers[number].headers["cache-control"], answers[number].url


async def test_wrong_paths_and_methods_answer_in_json(app: Running) -> None:
    assert (await app.client.get("/nothing")).json()["error"]["code"] == "not_found"
    answer = await app.client.get("/v1/chat/completions")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_an_unexpected_error_is_a_500_without_details() -> None:
    async def broken(_request: Request) -> None:
        raise RuntimeError(CANARY)

    stream = io.StringIO()
    logs.configure("info", stream)
    transport = httpx.ASGITransport(Edge(Starlette(routes=[Route("/", broken)])))
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        answer = await client.get("/")
    assert answer.status_code == 500
    check_headers(dict(answer.headers))
    assert CANARY not in answer.text
    assert "RuntimeError at test_edge.py" in stream.getvalue()
    assert CANARY not in stream.getvalue()


@pytest.mark.parametrize("taken_out", [True, False])
async def test_behind_a_path_prefix(gateway: FakeGateway, taken_out: bool) -> None:
    async with running(gateway, root_path="/chat") as app:
        prefix = "" if taken_out else "/chat"
        assert (await app.client.get(f"{prefix}/healthz")).status_code == 200
        assert (await app.client.get(f"{prefix}/")).status_code == 200
        assert (await app.client.get(f"{prefix}/static/app.js")).status_code == 200
        answer = await app.client.get("/chat")
        assert (answer.status_code, answer.headers["location"]) == (308, "/chat/")


async def test_static_files_are_asked_about_each_time(app: Running) -> None:
    answer = await app.client.get("/static/app.js")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")
    assert answer.headers["content-type"].startswith("text/javascript")
    again = await app.client.get("/static/app.js", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


async def test_one_log_line_per_question_without_what_was_said(gateway: FakeGateway) -> None:
    stream = io.StringIO()
    logs.configure("debug", stream)
    logging.getLogger().setLevel(logging.DEBUG)
    gateway.script = [Answer((CANARY,)), Answer((CANARY,)), Answer(status=400, body=CANARY.encode())]
    async with running(gateway, api_key=CANARY, system_prompt=CANARY) as app:
        await app.answer(CANARY)
        await app.answer(CANARY, page=True)
        await app.answer(CANARY, stream=False)
        await app.client.post(
            "/v1/chat/completions", content=f"{{{CANARY}", headers={"Content-Type": "application/json"}
        )
        await app.client.post("/api/completions", json={"question": CANARY * 2000})
    logging.getLogger().setLevel(logging.WARNING)
    text = stream.getvalue()
    assert CANARY not in text
    assert '127.0.0.1"' not in text
    lines = [json.loads(line) for line in text.splitlines()]
    asked = [line for line in lines if line["logger"] == "private_ai_chatbot.request" and "outcome" in line]
    assert [line["outcome"] for line in asked] == ["ok", "ok", "invalid", "invalid", "invalid"]
    assert asked[0].keys() >= {"ts", "level", "request_id", "status", "ttft_ms", "duration_ms", "queue_ms"}
    assert asked[0]["completion_tokens"] == 1
    assert asked[0]["visitor"] == "127.0.0.0/24"


async def test_metrics_count_by_outcome(gateway: FakeGateway, app: Running) -> None:
    gateway.script = [
        Answer(),
        Answer(status=429, body=b"{}"),
        Answer(status=500, body=b"{}"),
        Answer(close=True),
    ]
    for _ in range(4):
        await app.answer()
    await app.answer(temperature=9)

    def value(name: str, **labels: str) -> float | None:
        return app.service.metrics.registry.get_sample_value(name, labels)

    for outcome in ("ok", "busy", "upstream_error", "offline", "invalid"):
        assert value("chatbot_requests_total", outcome=outcome) == 1, outcome
    labels = {"gen_ai_operation_name": "chat", "gen_ai_request_model": "private-model"}
    assert value("gen_ai_client_operation_duration_seconds_count", **labels, error_type="") == 1
    assert value("gen_ai_client_operation_time_to_first_chunk_seconds_count", **labels) == 1
    assert value("gen_ai_client_token_usage_tokens_sum", **labels, gen_ai_token_type="output") == 2
    assert value("chatbot_queue_wait_seconds_count") == 1
    assert value("chatbot_streams_in_flight") == 0
    assert value("chatbot_queue_depth") == 0


async def test_metrics_tell_the_state_of_the_other_end(gateway: FakeGateway, app: Running) -> None:
    """Each scrape asks, because without visitors nobody else does."""

    async def scraped() -> dict[str, float]:
        app.service.backend = app.service.line._backend = Backend(app.service.upstream)
        app.service.metrics = Metrics("m", lambda: 0, app.service.backend)
        transport = httpx.ASGITransport(create_metrics_app(app.service))
        async with httpx.AsyncClient(transport=transport, base_url="http://metrics") as client:
            text = (await client.get("/metrics")).text
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
        return {name: float(number) for name, number in lines if name.startswith("chatbot_")}

    started = time.monotonic()
    up = await scraped()
    assert 0 < up["chatbot_gateway_round_trip_seconds"] < time.monotonic() - started
    assert up['chatbot_upstream_state{state="online"}'] == 1
    assert sum(number for name, number in up.items() if "upstream_state" in name) == 1
    assert (up["chatbot_gateway_replicas_up"], up["chatbot_gateway_queued"]) == (gateway.slots, 0)
    gateway.status = b'{"queued":3,"active":1,"up":1,"limit":9}'
    busy = await scraped()
    assert busy['chatbot_upstream_state{state="busy"}'] == 1
    assert (busy["chatbot_gateway_queued"], busy["chatbot_gateway_queue_limit"]) == (3, 9)
    gateway.status = b'{"queued":0,"active":0,"up":0,"limit":9}'
    assert (await scraped())['chatbot_upstream_state{state="no_replica"}'] == 1
    gateway.status, gateway.status_code = b"{}", 401
    refused = await scraped()
    assert refused['chatbot_upstream_state{state="key_refused"}'] == 1
    assert not [name for name in refused if "gateway" in name], "nothing is made up"
