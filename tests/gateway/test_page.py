"""The page's own stream through the real gateway: its place in the one queue, patient tries, leaving."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.gateway.gateway_stack import KEY, ROOT, Gateway, wait_until
from tests.ports import free_ports

Start = Callable[..., Gateway]


@pytest.fixture
def chatbot() -> Iterator[Callable[[Gateway], str]]:
    """Starts the chatbot's server before a gateway and returns its address."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(served: Gateway) -> str:
        port, metrics_port = free_ports(2)
        settings = {
            "ADDRESS": f"http://127.0.0.1:{served.port}",
            "API_KEY": KEY,
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "METRICS_PORT": str(metrics_port),
            "QUEUE_POLL_SECONDS": "0.1",
            "PYTHONPATH": str(ROOT / "chatbot_app/src"),
        }
        command = [sys.executable, "-m", "private_ai_chatbot"]
        processes.append(subprocess.Popen(command, env={**os.environ, **settings}, stdout=subprocess.DEVNULL))
        url = f"http://127.0.0.1:{port}"

        def healthy() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(url + "/healthz", trust_env=False).status_code == 200
            return False

        wait_until(healthy, what="the chatbot starts")
        return url

    yield start
    for process in processes:
        process.kill()
        process.wait()


class Visitor:
    """Somebody at the page: asks, and keeps the events that the page would show."""

    def __init__(self, url: str, name: str, tokens: int = 1200) -> None:
        self.places: list[int] = []
        self.retries: list[dict[str, Any]] = []
        self.errors: list[dict[str, Any]] = []
        self.answer = ""
        body = {"messages": [{"role": "user", "content": name}], "stream": True, "max_tokens": tokens}
        self.task = asyncio.create_task(self._ask(url, body))

    async def _ask(self, url: str, body: dict[str, Any]) -> None:
        client = httpx.AsyncClient(timeout=120, trust_env=False)
        ask = client.stream(
            "POST", url + "/v1/chat/completions", json=body, headers={"X-Chatbot-Events": "1"}
        )
        async with client, ask as response:
            kind = ""
            async for line in response.aiter_lines():
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                elif line.startswith("data: {"):
                    self._take(kind, json.loads(line.removeprefix("data: ")))
                    kind = ""

    def _take(self, kind: str, value: dict[str, Any]) -> None:
        if kind == "queue":
            self.places.append(value["position"])
        elif kind == "retry":
            self.retries.append(value)
        elif kind == "error":
            self.errors.append(value)
        elif not kind:
            delta = value["choices"][0]["delta"]
            self.answer += delta.get("content") or ""


async def until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """As wait_until, with the other tasks going on."""
    return await asyncio.to_thread(wait_until, condition, seconds)


def test_each_visitor_is_told_the_place_and_moves_up(
    gateway: Start, chatbot: Callable[[Gateway], str]
) -> None:
    served = gateway()
    url = chatbot(served)

    async def run() -> list[Visitor]:
        visitors = [Visitor(url, "is answered at once", tokens=60)]
        await until(lambda: served.status()["active"] == 1)
        for number in range(1, 4):
            visitors.append(Visitor(url, f"waits as number {number}", tokens=20))
            await until(lambda: visitors[-1].places[-1:] == [len(visitors) - 1])
        await asyncio.gather(*(visitor.task for visitor in visitors))
        return visitors

    visitors = asyncio.run(run())
    assert all(visitor.answer.startswith("The model stays") for visitor in visitors)
    assert all(not visitor.errors and not visitor.retries for visitor in visitors)
    assert visitors[3].places == sorted(visitors[3].places, reverse=True), "nobody falls back"
    assert visitors[3].places[0] == 3
    assert visitors[3].places[-1] <= 1, f"the last one was told to move up: {visitors[3].places}"
    assert served.replicas[0].stats()["order"][1:] == [f"waits as number {number}" for number in range(1, 4)]


def test_a_full_queue_is_tried_again_until_there_is_a_place(
    gateway: Start, chatbot: Callable[[Gateway], str]
) -> None:
    served = gateway(queue_limit=1)
    url = chatbot(served)

    async def run() -> Visitor:
        first = Visitor(url, "holds the replica", tokens=100)
        await until(lambda: served.status()["active"] == 1)
        second = Visitor(url, "fills the queue", tokens=5)
        await until(lambda: served.status()["queued"] == 1)
        third = Visitor(url, "finds it full", tokens=20)
        plain = await asyncio.to_thread(
            httpx.post,
            url + "/v1/chat/completions",
            json={"messages": [{"role": "user", "content": "plain"}]},
        )
        assert plain.status_code == 429, "a plain client gets the gateway's own answer"
        assert int(plain.headers["retry-after"]) > 0
        await asyncio.gather(first.task, second.task, third.task)
        assert not first.retries
        assert not second.retries
        return third

    third = asyncio.run(run())
    assert third.retries[0]["reason"] == "full"
    assert third.retries[0]["after"] > 0, "the page counts it down"
    assert third.answer.startswith("The model stays")
    assert not third.errors


def test_a_visitor_who_leaves_frees_the_model_for_the_next(
    gateway: Start, chatbot: Callable[[Gateway], str]
) -> None:
    served = gateway()
    url = chatbot(served)

    async def run() -> Visitor:
        leaves = Visitor(url, "leaves in the middle")
        await until(lambda: leaves.answer)
        waits_and_leaves = Visitor(url, "leaves the queue")
        await until(lambda: waits_and_leaves.places[-1:] == [1])
        stays = Visitor(url, "stays", tokens=20)
        await until(lambda: stays.places[-1:] == [2])
        waits_and_leaves.task.cancel()
        await until(lambda: stays.places[-1:] == [1])
        leaves.task.cancel()
        await stays.task
        return stays

    stays = asyncio.run(run())
    assert stays.answer.startswith("The model stays")
    stats = served.replicas[0].stats()
    assert stats["order"] == ["leaves in the middle", "stays"], "who left the queue never reached the model"
    assert (stats["cancelled"], stats["finished"]) == (1, 1)


def test_an_unstreamed_question_is_streamed_to_the_model(
    gateway: Start, chatbot: Callable[[Gateway], str]
) -> None:
    """So a caller who leaves one frees the model at once; directly at the gateway it would run to its end."""
    served = gateway()
    url = chatbot(served)

    async def leave(base: str) -> None:
        headers = {"Authorization": f"Bearer {KEY}"}
        body = {"messages": [{"role": "user", "content": "in one piece"}], "max_tokens": 100}
        async with httpx.AsyncClient(timeout=60, trust_env=False, headers=headers) as client:
            asked = asyncio.create_task(client.post(base + "/v1/chat/completions", json=body))
            await until(lambda: served.replicas[0].stats()["open_streams"] == 1)
            asked.cancel()
            await until(lambda: served.replicas[0].stats()["open_streams"] == 0)

    asyncio.run(leave(url))
    stats = served.replicas[0].stats()
    assert (stats["cancelled"], stats["finished"]) == (1, 0)
    asyncio.run(leave(str(served.client.base_url)))
    stats = served.replicas[0].stats()
    assert (stats["cancelled"], stats["finished"]) == (1, 1)
