"""Against the slow stand-in of the model, as separate processes: many streams at once, leaving, draining."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support import PAGE, PATIENCE, closed_ports, events, texts
from test_server import BODY, program, reachable

pytestmark = pytest.mark.anyio

PACED = Path(__file__).resolve().parents[2] / "tests" / "standins" / "paced_model.py"
KEY = "paced-key"


class Paced:
    """The stand-in, listening on `port`."""

    def __init__(self, port: int, stats_url: str) -> None:
        self.port = port
        self.stats_url = stats_url

    async def stats(self) -> dict[str, Any]:
        async with httpx.AsyncClient(trust_env=False) as client:
            value: dict[str, Any] = (await client.get(self.stats_url)).json()
            return value

    async def until(self, **wanted: int) -> None:
        """Waits until the counters are as `wanted`."""
        counts: dict[str, Any] = {}
        try:
            async with asyncio.timeout(PATIENCE):
                while {name: counts.get(name) for name in wanted} != wanted:
                    counts = await self.stats()
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pytest.fail(f"wanted {wanted}, last seen {counts}")


@contextlib.asynccontextmanager
async def paced(tokens: int) -> AsyncIterator[Paced]:
    assert PACED.is_file(), f"{PACED} is part of the repository and needed here"
    port, stats_port = closed_ports(2)
    command = [
        sys.executable,
        str(PACED),
        "--port",
        str(port),
        "--stats-port",
        str(stats_port),
        "--api-key",
        KEY,
    ]
    process = await asyncio.create_subprocess_exec(
        *command, "--rate", "20", "--tokens", str(tokens), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{stats_port}/_stats"
        await reachable(url)
        yield Paced(port, url)
    finally:
        process.kill()
        await process.wait()


async def streaming(
    client: httpx.AsyncClient, url: str, page: bool
) -> tuple[httpx.Response, AsyncIterator[str]]:
    """A response whose answer has begun, and its rest: dropping the iterator would close the response."""
    request = client.build_request("POST", url, json=BODY, headers=PAGE if page else {})
    response = await client.send(request, stream=True)
    pieces = response.aiter_text()
    text = ""
    while "short" not in text:
        text += await anext(pieces)
    return response, pieces


async def test_twenty_streams_at_once_and_those_who_leave_are_gone_at_the_model() -> None:
    async with paced(tokens=1200) as model, program(model, API_KEY=KEY) as app:
        await reachable(app.url + "/healthz")
        url = app.url + "/v1/chat/completions"
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
            responses = await asyncio.gather(*(streaming(client, url, bool(n % 2)) for n in range(20)))
            await model.until(open_streams=20, started=20)
            for response, _ in responses[:15]:
                await response.aclose()
            await model.until(open_streams=5, cancelled=15)
            # Who wants the answer in one piece can leave too: upstream it is a stream.
            unstreamed = asyncio.create_task(client.post(url, json={**BODY, "stream": False}))
            await model.until(open_streams=6)
            unstreamed.cancel()
            await model.until(open_streams=5, cancelled=16, finished=0)


async def test_draining_loses_no_answer_of_the_model() -> None:
    async with paced(tokens=40) as model, program(model, API_KEY=KEY) as app:
        await reachable(app.url + "/healthz")
        url = app.url + "/v1/chat/completions"
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
            asked = [asyncio.create_task(client.post(url, json=BODY, headers=PAGE)) for _ in range(12)]
            await model.until(open_streams=12)
            app.process.send_signal(signal.SIGTERM)
            answers = [texts(events((await task).text)) for task in asked]
        assert {thinking.strip() for thinking, _ in answers} == {"A short thought."}
        assert len({answer for _, answer in answers}) == 1
        assert len(answers[0][1].split()) >= 35
        await model.until(finished=12, cancelled=0, open_streams=0)
        assert await app.exit_status() == 0


async def test_the_wrong_key_is_the_operators_matter() -> None:
    async with paced(tokens=5) as model, program(model, API_KEY="wrong") as app:
        await reachable(app.url + "/healthz")
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
            response = await client.post(app.url + "/v1/chat/completions", json=BODY)
        assert (response.status_code, response.json()["error"]["code"]) == (502, "key_refused")
        assert any(line["level"] == "error" and "key" in line["message"] for line in app.lines)
