"""The stream for the page: place in the queue, patience, thinking apart, errors inside the stream."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from private_ai_chatbot.waiting import Backend, GatewayStatus, Waiter, WaitingLine
from support import PATIENCE, Answer, FakeGateway, Running, events, running, texts, until

pytestmark = pytest.mark.anyio


async def test_thinking_and_answer_come_apart(gateway: FakeGateway, app: Running) -> None:
    gateway.answer = Answer(("<th", "ink>\n", "hm", "</", "think>", "\n\n", "yes", "!"))
    found = events((await app.answer(page=True)).text)
    assert found[0] == (":", "heartbeat"), "headers and a first byte go out before the model is asked"
    assert texts(found) == ("hm", "yes!")
    assert "reclassify" not in dict(found)
    assert [name for name, _ in found[-2:]] == ["usage", ""]
    usage = dict(found)["usage"]
    assert usage["completion_tokens"] == 8
    assert 0 < usage["first_token_seconds"] <= usage["seconds"]
    last = [value for name, value in found if name == "" and value != "[DONE]"][-1]
    assert last["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "stop"}
    assert found[-1] == ("", "[DONE]")


async def test_a_lone_closing_tag_moves_what_was_shown(gateway: FakeGateway, app: Running) -> None:
    gateway.answer = Answer(("hm ", "so", "</think>", "yes"))
    found = events((await app.answer(page=True)).text)
    assert ("reclassify", {"to": "reasoning"}) in found
    assert texts(found) == ("hm so", "yes")


async def test_thinking_can_be_switched_off(gateway: FakeGateway) -> None:
    gateway.answer = Answer(("<think>hm</think>yes",))
    async with running(gateway, thinking="off") as app:
        assert texts(events((await app.answer(page=True)).text)) == ("", "<think>hm</think>yes")


async def test_the_place_in_the_queue_is_told_and_falls(gateway: FakeGateway) -> None:
    gateway.slots = 1
    gateway.answer = Answer(hold_first=True)
    async with running(gateway) as app:
        first = asyncio.create_task(app.answer(page=True))
        await until(lambda: gateway.active == 1)
        second = asyncio.create_task(app.answer(page=True))
        await until(lambda: len(gateway.queue) == 1)
        third = await app.client.send(app.ask(page=True), stream=True)
        text = ""
        async with asyncio.timeout(PATIENCE):
            async for piece in third.aiter_text():
                text += piece
                if '"position":2' in text:
                    gateway.go.set()
        places = [value["position"] for name, value in events(text) if name == "queue"]
        assert places[0] == 2
        assert places == sorted(set(places), reverse=True), "only changes, and never backwards"
        assert texts(events(text)) == ("", "Hello world")
        assert "queue" not in dict(events((await first).text)), "the first one did not wait"
        assert (await second).status_code == 200


async def test_nobody_polls_when_nobody_waits(gateway: FakeGateway, app: Running) -> None:
    await app.answer(page=True)
    assert len(app.service.line) == 0
    await asyncio.sleep(0.2)  # on a busy machine the visitor may have waited, and a question be under way
    asked = gateway.paths.count("/gateway/status")
    await asyncio.sleep(0.4)  # four polling intervals
    assert gateway.paths.count("/gateway/status") == asked


async def test_one_poller_for_all(gateway: FakeGateway) -> None:
    gateway.slots = 1
    gateway.answer = Answer(hold_first=True)
    async with running(gateway, queue_poll_seconds=0.2) as app:
        asked = [asyncio.create_task(app.answer(page=True)) for _ in range(15)]
        await until(lambda: len(gateway.queue) == 14)
        start = gateway.paths.count("/gateway/status")
        await asyncio.sleep(1)
        assert gateway.paths.count("/gateway/status") - start <= 6
        gateway.go.set()
        await asyncio.gather(*asked)


class Numbers:
    """Places that the line tells, without a gateway."""

    def __init__(self, count: int) -> None:
        self.told: list[list[int]] = [[] for _ in range(count)]
        self.line = WaitingLine(None, 1.0)  # type: ignore[arg-type]  # nobody is asked here
        for number in range(count):
            waiter = Waiter(partial(self._tell, number))
            waiter.joined = number
            self.line._waiters[waiter] = None

    def _tell(self, number: int, place: int, _status: GatewayStatus) -> None:
        self.told[number].append(place)

    def status(self, queued: int, active: int = 1, up: int = 1, at: float = 1000.0) -> list[list[int]]:
        self.line.tell(GatewayStatus(queued, active, up, 100), at)
        return self.told


async def test_places_with_visitors_of_other_replicas() -> None:
    assert Numbers(3).status(queued=2) == [[], [1], [2]]  # the first one is being served
    assert Numbers(3).status(queued=3) == [[1], [2], [3]]
    assert Numbers(3).status(queued=9) == [[7], [8], [9]]  # six others in front, as far as is known
    assert Numbers(3).status(queued=0) == [[], [], []]
    assert Numbers(4).status(queued=2, active=2, up=2) == [[], [], [1], [2]]


async def test_places_never_get_worse_and_end_with_zero() -> None:
    numbers = Numbers(1)
    for queued in (3, 5, 2, 2, 0):
        numbers.status(queued)
    assert numbers.told == [[3, 2, 0]]


async def test_who_came_after_the_gateway_was_asked_is_not_told_old_news() -> None:
    assert Numbers(3).status(queued=2, at=1.5) == [[1], [2], []]
    assert Numbers(3).status(queued=2, at=2.05) == [[], [1], []], "the third may already be in the queue"


async def test_a_full_queue_is_asked_again_after_retry_after(gateway: FakeGateway, app: Running) -> None:
    gateway.script = [Answer(status=429, headers={"retry-after": "1"}, body=b"{}")]
    found = events((await app.answer(page=True)).text)
    assert ("retry", {"after": 2, "reason": "full"}) in found, "1 s and some jitter, rounded up"
    assert texts(found) == ("", "Hello world")
    assert len(gateway.requests) == 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(status=503, headers={"retry-after": "1"}, body=b"{}"), "busy"),
        (
            Answer(status=503, headers={"retry-after": "1"}, body=b'{"error":{"code":"queue_timeout"}}'),
            "timeout",
        ),
        (Answer(status=502, headers={"retry-after": "1"}, body=b"{}"), "offline"),
        (Answer(close=True), "offline"),
    ],
)
async def test_other_reasons_to_wait(gateway: FakeGateway, app: Running, answer: Answer, reason: str) -> None:
    gateway.script = [answer]
    found = events((await app.answer(page=True)).text)
    assert dict(found)["retry"]["reason"] == reason
    assert texts(found) == ("", "Hello world")


async def test_patience_ends(gateway: FakeGateway) -> None:
    gateway.answer = Answer(status=429, headers={"retry-after": "30"}, body=b"{}")
    async with running(gateway, max_wait_seconds=20) as app:
        found = events((await app.answer(page=True)).text)
        error = dict(found)["error"]["error"]
        assert (error["code"], error["retry_after"]) == ("queue_full", 30)
        assert found[-1] == ("", "[DONE]")
        assert len(gateway.requests) == 1


async def test_a_question_that_kills_the_model_is_not_asked_for_ever(
    gateway: FakeGateway, app: Running
) -> None:
    gateway.answer = Answer(status=502, headers={"retry-after": "0"}, body=b"{}")
    found = events((await app.answer(page=True)).text)
    assert dict(found)["error"]["error"]["code"] == "interrupted"
    assert len(gateway.requests) == 4


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(status=401, body=b"{}"), "key_refused"),
        (Answer(status=500, body=b"{}"), "model_error"),
        (Answer(("half",), cut=True), "interrupted"),
        (Answer(status=400, body=b'{"error":{"code":"context_length_exceeded"}}'), "context_length_exceeded"),
    ],
)
async def test_what_waiting_does_not_cure_ends_at_once(
    gateway: FakeGateway, app: Running, answer: Answer, code: str
) -> None:
    gateway.answer = answer
    found = events((await app.answer(page=True)).text)
    assert dict(found)["error"]["error"]["code"] == code
    assert len(gateway.requests) == 1


async def test_refusals_of_this_server_come_before_the_stream(app: Running) -> None:
    response = await app.answer("x" * 9000, page=True)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "message_too_long")


async def test_heartbeats_while_waiting(gateway: FakeGateway) -> None:
    gateway.answer = Answer(hold_first=True)
    async with running(gateway, heartbeat_seconds=0.1) as app:
        response = await app.client.send(app.ask(page=True), stream=True)
        text = ""
        async with asyncio.timeout(PATIENCE):
            async for piece in response.aiter_text():
                text += piece
                if text.count(": heartbeat") == 4:
                    gateway.go.set()
        assert texts(events(text)) == ("", "Hello world")


async def test_reasoning_that_the_model_separates_itself(gateway: FakeGateway, app: Running) -> None:
    def piece(**delta: Any) -> bytes:
        import json

        return (
            b"data: " + json.dumps({"id": "1", "choices": [{"index": 0, "delta": delta}]}).encode() + b"\n\n"
        )

    body = piece(reasoning_content="hm") + piece(content="yes") + b"data: [DONE]\n\n"
    gateway.answer = Answer(headers={"content-type": "text/event-stream"}, body=body)
    assert texts(events((await app.answer(page=True)).text)) == ("hm", "yes")


def test_the_state_in_words() -> None:
    backend = Backend(None)  # type: ignore[arg-type]  # no request is made
    backend.reason = None
    for numbers, state in [
        ((0, 0, 1), "online"),
        ((0, 1, 2), "online"),
        ((0, 2, 2), "busy"),
        ((3, 1, 2), "busy"),
    ]:
        backend.gateway = GatewayStatus(*numbers, 100)
        assert backend.state == state
    backend.reason = "no_replica"
    assert backend.state == "offline"
