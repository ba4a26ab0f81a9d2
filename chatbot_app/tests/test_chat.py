"""Plain clients of `/v1` and of the published application."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from support import PATIENCE, Answer, FakeGateway, Running, chunk, closed_port, events, running, until

pytestmark = pytest.mark.anyio

THOUGHT = Answer(("<think>", "hm", "</think>", "\n\nyes"))
FULL = Answer(
    status=429,
    headers={"retry-after": "15"},
    body=b'{"error":{"message":"full","code":"queue_full","type":"x"}}',
)


async def test_a_plain_stream_is_the_models_bytes(gateway: FakeGateway, app: Running) -> None:
    gateway.answer = THOUGHT
    response = await app.answer()
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-accel-buffering"] == "no"
    wanted = [chunk(token) for token in THOUGHT.tokens] + [chunk(None, "stop"), b"data: [DONE]\r\n\r\n"]
    assert response.content == b"".join(wanted)


async def test_an_unstreamed_answer_is_collected_from_a_stream(gateway: FakeGateway, app: Running) -> None:
    gateway.answer = THOUGHT
    response = await app.answer(stream=False)
    body = response.json()
    assert body["object"] == "chat.completion"
    choice = {"role": "assistant", "content": "<think>hm</think>\n\nyes"}
    assert body["choices"] == [{"index": 0, "message": choice, "finish_reason": "stop"}]
    assert gateway.requests[0]["stream"] is True


async def test_the_published_route_answers_without_the_thinking(gateway: FakeGateway, app: Running) -> None:
    gateway.answer = Answer(("hm", "</think>", "yes"))
    response = await app.client.post("/api/completions", json={"question": "well?"})
    assert response.json() == {"response": "yes"}
    assert gateway.requests[0]["messages"] == [{"role": "user", "content": "well?"}]


async def test_the_published_route_has_its_own_errors(gateway: FakeGateway, app: Running) -> None:
    response = await app.client.post("/api/completions", json={"question": ""})
    assert (response.status_code, list(response.json())) == (400, ["error"])
    gateway.script = [Answer(close=True), FULL]
    response = await app.client.post("/api/completions", json={"question": "a"})
    assert response.status_code == 500
    assert isinstance(response.json()["error"], str)
    response = await app.client.post("/api/completions", json={"question": "a"})
    assert (response.status_code, response.headers["retry-after"]) == (429, "15")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("answer", "status", "code", "after"),
    [
        (FULL, 429, "queue_full", "15"),
        (Answer(status=503, headers={"retry-after": "9"}, body=b"<html>"), 503, "busy", "9"),
        (Answer(status=503, body=b'{"error":{"code":"queue_timeout"}}'), 503, "queue_timeout", None),
        (Answer(status=503, body=b'{"error":{"code":"no_model"}}'), 503, "model_unreachable", None),
        (Answer(status=502, headers={"retry-after": "5"}, body=b"{}"), 502, "interrupted", "5"),
        (Answer(status=504, body=b"{}"), 504, "timeout", None),
        (Answer(status=401, body=b"{}"), 502, "key_refused", None),
        (Answer(status=404, body=b"{}"), 502, "model_error", None),
        (Answer(status=500, body=b"Traceback"), 502, "model_error", None),
        (Answer(status=200, body=b'{"choices":[]}'), 502, "model_error", None),
        (
            Answer(status=400, body=b'{"error":{"message":"too long","code":"context_length_exceeded"}}'),
            400,
            "context_length_exceeded",
            None,
        ),
        (Answer(close=True), 503, "model_unreachable", None),
    ],
)
async def test_refusals_arrive_as_real_statuses(
    gateway: FakeGateway,
    app: Running,
    answer: Answer,
    status: int,
    code: str,
    after: str | None,
    stream: bool,
) -> None:
    gateway.script = [answer]
    response = await app.answer(stream=stream)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert response.headers.get("retry-after") == after
    assert len(gateway.requests) == 1, "a plain client decides itself whether it asks again"
    assert b"Traceback" not in response.content


async def test_nobody_at_the_address() -> None:
    async with running(None) as app:
        response = await app.answer()
        assert (response.status_code, response.json()["error"]["code"]) == (503, "model_unreachable")
        status = (await app.client.get("/api/backend-status")).json()
        assert (status["status"], status["reason"]) == ("offline", "unreachable")


async def test_a_broken_answer_is_not_taken_for_a_complete_one(gateway: FakeGateway, app: Running) -> None:
    gateway.answer = Answer(("half",), cut=True)
    found = events((await app.answer()).text)
    assert found[-1][1]["error"]["code"] == "interrupted"
    response = await app.answer(stream=False)
    assert (response.status_code, response.json()["error"]["code"]) == (502, "interrupted")
    gateway.answer = Answer(
        headers={"content-type": "text/event-stream"}, body=chunk("half")
    )  # a tidy end, too early
    assert events((await app.answer()).text)[-1][1]["error"]["code"] == "interrupted"
    assert (await app.answer(stream=False)).status_code == 502


async def test_a_silent_model_times_out(gateway: FakeGateway) -> None:
    gateway.answer = Answer(hold_first=True)
    async with running(gateway, upstream_timeout_seconds=0.2) as app:
        response = await app.answer()
        assert (response.status_code, response.json()["error"]["code"]) == (504, "timeout")


async def test_heartbeats_fill_the_silence_of_a_plain_stream(gateway: FakeGateway) -> None:
    gateway.answer = Answer(("a",), hold_last=True)
    async with running(gateway, heartbeat_seconds=0.1) as app:
        response = await app.client.send(app.ask(), stream=True)
        text = ""
        async with asyncio.timeout(PATIENCE):
            async for piece in response.aiter_text():
                text += piece
                if text.count(": heartbeat") >= 3:
                    gateway.go.set()
        # On a busy machine the silence before the end of the response is one, too.
        assert [one for one in events(text) if one[0] != ":"][-1] == ("", "[DONE]")


async def test_key_and_request_id_reach_the_gateway(gateway: FakeGateway) -> None:
    async with running(gateway, api_key="k3y") as app:
        response = await app.answer(headers={"X-Request-Id": "abc-1"})
        assert response.headers["x-request-id"] == "abc-1"
        assert gateway.headers[0]["x-request-id"] == "abc-1"
        assert gateway.headers[0]["authorization"] == "bearer k3y"
        response = await app.answer(headers={"X-Request-Id": "a\tb"})
        assert response.headers["x-request-id"] != "a\tb"


async def test_a_rotated_key_is_read_again(gateway: FakeGateway, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("old")
    async with running(gateway, api_key_file=str(key)) as app:
        key.write_text("new")
        gateway.script = [Answer(status=401, body=b"{}")]
        assert (await app.answer()).status_code == 200
        assert [headers["authorization"] for headers in gateway.headers] == ["bearer old", "bearer new"]


async def test_the_body_is_limited_while_it_arrives(gateway: FakeGateway) -> None:
    async with running(gateway, max_body_bytes=2000) as app:
        response = await app.answer("x" * 3000)
        assert (response.status_code, response.json()["error"]["code"]) == (413, "request_too_large")

        reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
        head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        writer.write(
            f"{head}Transfer-Encoding: chunked\r\n\r\nbb8\r\n{'x' * 3000}\r\n".encode()
        )  # and no end
        async with asyncio.timeout(PATIENCE):
            assert b" 413 " in await reader.readline()
        writer.close()
    assert gateway.requests == []


async def test_slow_bodies_and_slow_heads_are_ended(gateway: FakeGateway) -> None:
    async with running(gateway, request_timeout_seconds=0.2) as app:
        reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b"", "closed: the head did not end in time"
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        writer.write(b"Content-Length: 10\r\n\r\n{")
        async with asyncio.timeout(PATIENCE):
            assert b" 408 " in await reader.readline()
        writer.close()


async def test_only_json_is_taken(app: Running) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        response = await app.client.post(
            "/v1/chat/completions", content=b"{}", headers={"Content-Type": kind}
        )
        assert response.status_code == 415


async def test_forty_may_be_open_and_not_one_more(gateway: FakeGateway) -> None:
    gateway.answer = Answer(hold_first=True)
    async with running(gateway) as app:
        asked = [asyncio.create_task(app.answer()) for _ in range(40)]
        await until(lambda: len(gateway.requests) == 40)
        response = await app.answer()
        assert (response.status_code, response.json()["error"]["code"]) == (429, "too_many_open_requests")
        assert response.headers["retry-after"]
        gateway.go.set()
        assert {(await task).status_code for task in asked} == {200}
        assert (await app.answer()).status_code == 200


async def test_the_rate_limit_is_per_visitor(gateway: FakeGateway) -> None:
    import ipaddress

    trusted = (ipaddress.ip_network("127.0.0.0/8"),)
    async with running(gateway, rate_limit_per_minute=2, trusted_proxies=trusted) as app:

        async def ask(address: str) -> int:
            return (await app.answer(headers={"X-Forwarded-For": address})).status_code

        assert [await ask("198.51.100.1") for _ in range(3)] == [200, 200, 429]
        assert [await ask("6.6.6.6, 198.51.100.1"), await ask("198.51.100.2")] == [429, 200]


async def test_a_gateway_that_answers_in_odd_pieces(gateway: FakeGateway) -> None:
    """One byte at a time, without a length, with a `100 Continue` before."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        whole = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        whole += b": ping\r\n\r\n" + chunk("é!") + b"data: [DONE]\n\n"
        for number in range(len(whole)):
            writer.write(whole[number : number + 1])
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with running(None, address=f"http://127.0.0.1:{port}") as app:
        body = (await app.answer(stream=False)).json()
        assert body["choices"][0]["message"]["content"] == "é!"
    server.close()


async def test_models_and_configuration_do_not_touch_the_model(gateway: FakeGateway) -> None:
    async with running(gateway, model_name="demo", system_prompt="Kind.", title="T", language="pt-BR") as app:
        assert (await app.client.get("/v1/models")).json()["data"][0]["id"] == "demo"
        config = (await app.client.get("/api/config")).json()
        assert (config["title"], config["language"], config["system_prompt"]) == ("T", "pt-BR", "Kind.")
        assert config["limits"] == {"max_message_chars": 8000, "max_messages": 64, "max_tokens": 2048}
        assert (await app.client.get("/healthz")).json()["status"] == "ok"
        assert (await app.client.get("/readyz")).status_code == 200
    assert gateway.paths == []


async def test_an_absent_model_leaves_the_probes_alone() -> None:
    async with running(None, address=f"http://127.0.0.1:{closed_port()}") as app:
        await app.answer()
        assert (await app.client.get("/healthz")).status_code == 200
        ready = await app.client.get("/readyz")
        assert (ready.status_code, ready.json()["upstream"]) == (200, "offline")


async def test_backend_status_is_asked_once_for_all(gateway: FakeGateway, app: Running) -> None:
    answers = await asyncio.gather(*(app.client.get("/api/backend-status") for _ in range(20)))
    assert {answer.json()["status"] for answer in answers} == {"online"}
    assert gateway.paths == ["/gateway/status"]
    assert json.loads(answers[0].text)["limit"] == 100


async def test_ilab_itself_as_the_address_is_not_polled(gateway: FakeGateway, app: Running) -> None:
    gateway.status_code, gateway.status = 404, b"{}"
    for _ in range(3):
        app.service.backend._checked = float("-inf")
        assert (await app.client.get("/api/backend-status")).json()["status"] == "online"
    assert gateway.paths == ["/gateway/status"], "each question would take the one connection that ilab has"
