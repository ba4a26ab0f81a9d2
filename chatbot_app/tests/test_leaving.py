"""A visitor who leaves frees the model: in the queue, before the first token, in the middle, by stalling."""

from __future__ import annotations

import asyncio
import socket

import pytest

from support import PATIENCE, Answer, FakeGateway, Running, running, until

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("page", [True, False])
async def test_leaving_in_the_middle_stops_the_model(gateway: FakeGateway, app: Running, page: bool) -> None:
    gateway.answer = Answer(("a", "b"), hold_last=True)
    response = await app.client.send(app.ask(page=page), stream=True)
    async for piece in response.aiter_text():
        if '"b"' in piece:
            break
    await response.aclose()
    await until(lambda: gateway.left == 1 and gateway.active == 0)
    await until(lambda: not app.service.watches)


@pytest.mark.parametrize(("page", "stream"), [(True, True), (False, True), (False, False)])
async def test_leaving_before_the_first_token_stops_the_model(
    gateway: FakeGateway, app: Running, page: bool, stream: bool
) -> None:
    gateway.answer = Answer(hold_first=True)
    asked = asyncio.create_task(app.answer(page=page, stream=stream))
    await until(lambda: gateway.active == 1)
    asked.cancel()
    await until(lambda: gateway.left == 1 and gateway.active == 0)
    assert len(app.service.line) == 0


@pytest.mark.parametrize(("page", "stream"), [(True, True), (False, True), (False, False)])
async def test_leaving_the_queue_gives_the_place_back(
    gateway: FakeGateway, app: Running, page: bool, stream: bool
) -> None:
    gateway.slots = 1
    gateway.answer = Answer(hold_first=True)
    first = asyncio.create_task(app.answer())
    await until(lambda: gateway.active == 1)
    second = asyncio.create_task(app.answer(page=page, stream=stream))
    await until(lambda: len(gateway.queue) == 1)
    second.cancel()
    await until(lambda: gateway.left_queue == 1 and not gateway.queue)
    gateway.go.set()
    assert (await first).status_code == 200


async def test_leaving_between_two_tries_ends_the_trying(gateway: FakeGateway, app: Running) -> None:
    gateway.answer = Answer(status=429, headers={"retry-after": "300"}, body=b"{}")
    asked = asyncio.create_task(app.answer(page=True))
    await until(lambda: gateway.requests)
    asked.cancel()
    await until(lambda: not app.service.watches)


async def test_everybody_leaves_at_once(gateway: FakeGateway, app: Running) -> None:
    gateway.slots = 3
    gateway.answer = Answer(hold_first=True)
    asked = [asyncio.create_task(app.answer(page=bool(n % 2))) for n in range(12)]
    await until(lambda: gateway.active == 3 and len(gateway.queue) == 9)
    for task in asked:
        task.cancel()
    await until(lambda: gateway.active == 0 and not gateway.queue)
    await until(lambda: not app.service.watches and not app.service.visitors._open)
    outcomes = app.service.metrics.registry.get_sample_value(
        "chatbot_requests_total", {"outcome": "cancelled"}
    )
    assert outcomes == 12


async def test_a_visitor_who_takes_nothing_any_more_is_let_go(gateway: FakeGateway) -> None:
    gateway.answer = Answer(("x" * 50000,) * 400)
    async with running(gateway, stall_seconds=1) as app:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(sock, ("127.0.0.1", app.port))
            body = b'{"messages":[{"role":"user","content":"hi"}],"stream":true}'
            head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            await loop.sock_sendall(sock, head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            await until(lambda: gateway.left == 1)  # and the socket is still open on the visitor's side


@pytest.mark.parametrize(("page", "stream"), [(True, True), (False, True), (False, False)])
async def test_the_connection_stays_usable_after_an_answer(
    gateway: FakeGateway, app: Running, page: bool, stream: bool
) -> None:
    for _ in range(3):
        async with asyncio.timeout(PATIENCE):
            assert (await app.answer(page=page, stream=stream)).status_code == 200
    await until(lambda: gateway.finished + gateway.left == 3)
    assert gateway.left == 0, "a complete answer is not counted as cancelled by the model's server"
