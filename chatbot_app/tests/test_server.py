"""The program itself, as a process: start, both ports, signals, drain."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx
import pytest

from support import PAGE, PATIENCE, Answer, FakeGateway, closed_ports, events, texts, until

pytestmark = pytest.mark.anyio

_KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")
BODY = {"messages": [{"role": "user", "content": "hi"}], "stream": True}


class HasPort(Protocol):
    port: int


@dataclass
class Program:
    process: asyncio.subprocess.Process
    url: str
    metrics_url: str
    lines: list[dict[str, Any]] = field(default_factory=list)

    def messages(self) -> list[str]:
        return [line["message"] for line in self.lines]

    async def read_log(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(json.loads(line))

    async def exit_status(self) -> int:
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()


async def start(**environ: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "private_ai_chatbot",
        env={
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            "HOST": "127.0.0.1",
            **environ,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@contextlib.asynccontextmanager
async def program(gateway: HasPort, **environ: str) -> AsyncIterator[Program]:
    port, metrics_port = closed_ports(2)
    address = f"http://127.0.0.1:{gateway.port}"
    process = await start(ADDRESS=address, PORT=str(port), METRICS_PORT=str(metrics_port), **environ)
    started = Program(process, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{metrics_port}")
    reading = asyncio.create_task(started.read_log())
    try:
        await until(lambda: "ready" in started.messages() or process.returncode is not None)
        assert process.stderr is not None
        assert process.returncode is None, await process.stderr.read()
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await reading


async def answered(client: httpx.AsyncClient, url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        await client.get(url)
        return True
    return False


async def reachable(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(PATIENCE):
        while not await answered(client, url):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_wrong_configuration_stops_with_status_2() -> None:
    process = await start(PORT="http", TEMPERATURE="hot", API_KEY="bad key")
    _, err = await process.communicate()
    assert process.returncode == 2
    text = err.decode()
    assert "PORT is 'http': allowed is a whole number from 1 to 65535" in text
    assert "TEMPERATURE is 'hot'" in text
    assert "bad key" not in text


async def test_a_port_in_use_stops_with_its_name(gateway: FakeGateway) -> None:
    process = await start(PORT=str(gateway.port))
    _, err = await process.communicate()
    assert process.returncode == 2
    assert f"PORT is {gateway.port}: cannot listen" in err.decode()


async def test_both_ports_serve_and_no_key_is_printed(gateway: FakeGateway) -> None:
    async with program(gateway, API_KEY="s3cret-k3y") as app, httpx.AsyncClient(trust_env=False) as client:
        await reachable(app.url + "/healthz")
        await reachable(app.metrics_url + "/healthz")
        answer = await client.post(app.url + "/v1/chat/completions", json=BODY, headers=PAGE)
        assert texts(events(answer.text)) == ("", "Hello world")
        metrics = (await client.get(app.metrics_url + "/metrics")).text
        assert 'chatbot_requests_total{outcome="ok"} 1.0' in metrics
        assert (await client.get(app.url + "/metrics")).status_code == 404, "not for visitors"
        app.process.send_signal(signal.SIGTERM)
        assert await app.exit_status() == 0
    assert "s3cret-k3y" not in json.dumps(app.lines)


async def test_other_sources_get_no_answer(gateway: FakeGateway) -> None:
    async with program(gateway, ALLOWED_SOURCES="127.0.0.0/8") as app:
        await reachable(app.url + "/healthz")
    refusing = program(gateway, ALLOWED_SOURCES="203.0.113.0/24,2001:db8::/32")
    async with refusing as app, httpx.AsyncClient(trust_env=False) as client:
        for url in (app.url, app.metrics_url):
            with pytest.raises(httpx.TransportError):
                await client.get(url + "/healthz")


async def test_sigterm_lets_every_open_stream_end(gateway: FakeGateway) -> None:
    gateway.answer = Answer(("a", "b"), hold_last=True)
    async with program(gateway) as app, httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
        await reachable(app.url + "/healthz")
        url = app.url + "/v1/chat/completions"
        asked = [
            asyncio.create_task(client.post(url, json=BODY, headers=PAGE if number % 2 else {}))
            for number in range(10)
        ]
        await until(lambda: gateway.active == 10)
        app.process.send_signal(signal.SIGTERM)
        await until(lambda: "draining" in app.messages())
        ready = await client.get(app.metrics_url + "/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, "draining")
        async with asyncio.timeout(PATIENCE):
            while await answered(client, app.url + "/healthz"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert app.process.returncode is None
        gateway.go.set()
        for task in asked:
            assert "[DONE]" in (await task).text
        assert gateway.finished == 10
        assert await app.exit_status() == 0
    assert [line["open"] for line in app.lines if line["message"] == "draining"] == [10]
    assert [line["outcome"] for line in app.lines if "outcome" in line] == ["ok"] * 10


async def test_a_kept_connection_has_one_answer_left_while_draining(gateway: FakeGateway) -> None:
    async with (
        program(gateway, DRAIN_DELAY_SECONDS="60") as app,
        httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client,
    ):
        await reachable(app.url + "/healthz")
        assert "connection" not in (await client.get(app.url + "/healthz")).headers
        app.process.send_signal(signal.SIGTERM)
        await until(lambda: "draining" in app.messages())
        kept = await client.get(app.url + "/healthz")
        assert (kept.status_code, kept.headers["connection"]) == (200, "close")


async def test_what_outlasts_the_drain_time_gets_an_error_not_a_cut(gateway: FakeGateway) -> None:
    gateway.answer = Answer(("a",), hold_last=True)
    gateway.slots = 2
    async with (
        program(gateway, DRAIN_SECONDS="0.5") as app,
        httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client,
    ):
        await reachable(app.url + "/healthz")
        url = app.url + "/v1/chat/completions"
        page = asyncio.create_task(client.post(url, json=BODY, headers=PAGE))
        plain = asyncio.create_task(client.post(url, json=BODY))
        await until(lambda: gateway.active == 2)
        queued = asyncio.create_task(client.post(url, json=BODY))
        await until(lambda: gateway.queue)
        app.process.send_signal(signal.SIGTERM)
        found = events((await page).text)
        assert dict(found)["error"]["error"]["code"] == "shutting_down"
        assert found[-1] == ("", "[DONE]")
        assert events((await plain).text)[-1][1]["error"]["code"] == "shutting_down"
        answer = await queued
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert await app.exit_status() == 0
        # The third may have got a slot that the others gave up on leaving.
        await until(lambda: gateway.left + gateway.left_queue == 3)


async def test_while_the_load_balancer_learns_of_it_requests_are_still_taken(gateway: FakeGateway) -> None:
    async with (
        program(gateway, DRAIN_DELAY_SECONDS="2") as app,
        httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client,
    ):
        await reachable(app.url + "/healthz")
        app.process.send_signal(signal.SIGTERM)
        await until(lambda: "draining" in app.messages())
        assert (await client.get(app.url + "/readyz")).status_code == 503
        assert (await client.post(app.url + "/v1/chat/completions", json=BODY)).status_code == 200
        assert await app.exit_status() == 0
