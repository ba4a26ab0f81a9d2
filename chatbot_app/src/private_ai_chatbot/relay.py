"""The model's stream for a plain API client: the bytes as they are, or collected into one answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from starlette.types import Send

from . import sse
from .errors import ApiError
from .exchange import Record
from .upstream import interrupted

_POLITE_SECONDS = 0.5
STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
]


class Sender:
    """Sends blocks of one stream, and a heartbeat whenever nothing was sent for a while.

    `send` may be called by several tasks; each block reaches the visitor whole.
    """

    def __init__(self, send: Send, heartbeat_seconds: float) -> None:
        self.raw = send  # for a response that is no stream
        self._interval = heartbeat_seconds
        self._last = time.monotonic()
        self.started = False
        self.tail = b""  # what the visitor has last seen, to know whether a comment may follow

    async def start(self) -> None:
        """Sends the response headers."""
        self.started = True
        await self.raw({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS})

    async def send(self, block: bytes) -> None:
        """Sends one block."""
        self._last = time.monotonic()
        self.tail = (self.tail + block)[-16:] if len(block) < 16 else block[-16:]
        await self.raw({"type": "http.response.body", "body": block, "more_body": True})

    async def end(self) -> None:
        """Ends the response."""
        await self.raw({"type": "http.response.body", "body": b"", "more_body": False})

    @contextlib.asynccontextmanager
    async def heartbeats(self) -> AsyncIterator[None]:
        """Keeps the stream alive while the block runs."""
        task = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            task.cancel()

    async def _beat(self) -> None:
        while True:
            pause = self._last + self._interval - time.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
            elif sse.at_boundary(self.tail):
                await self.send(sse.HEARTBEAT)
            else:  # in the middle of an event of the model: a comment would break it
                await asyncio.sleep(self._interval)


async def relay_bytes(blocks: AsyncIterator[bytes], sender: Sender, record: Record) -> None:
    """Passes the model's bytes on. An answer that breaks off ends with an error event instead of `[DONE]`."""
    done = False
    tail = b""
    try:
        async for block in blocks:
            record.first_piece()
            record.tokens += block.count(b'"content"')
            await sender.send(block)
            tail = (tail + block)[-32:]
            record.complete = done = done or b"[DONE]" in tail
        if not done:
            raise interrupted()
    except ApiError as exc:
        record.outcome = exc.outcome
        gap = b"" if sse.at_boundary(sender.tail) else b"\n\n"
        await sender.send(gap + sse.data(exc.body()))


class Collector:
    """Puts a streamed answer together again for a visitor who wants it in one piece."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.finish_reason: str | None = None
        self.head: dict[str, Any] = {}
        self.usage: dict[str, Any] | None = None

    def take(self, chunk: dict[str, Any], record: Record) -> None:
        """Adds one chat.completion.chunk."""
        if not self.head:
            self.head = {name: chunk[name] for name in ("id", "created", "model") if name in chunk}
        if isinstance(chunk.get("usage"), dict):
            self.usage = chunk["usage"]
        delta, finish = delta_of(chunk)
        if content := delta.get("content"):
            self.text.append(content)
        if reasoning := delta.get("reasoning_content"):
            self.reasoning.append(reasoning)
        record.tokens += bool(content) + bool(reasoning)
        self.finish_reason = finish or self.finish_reason

    def completion(self, model: str) -> dict[str, Any]:
        """The chat.completion object. `usage` only when the model reported it: its tokens are not guessed."""
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self.text)}
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        answer: dict[str, Any] = {
            "id": self.head.get("id", ""),
            "object": "chat.completion",
            "created": self.head.get("created", int(time.time())),
            "model": self.head.get("model", model),
            "choices": [{"index": 0, "message": message, "finish_reason": self.finish_reason or "stop"}],
        }
        if self.usage:
            answer["usage"] = self.usage
        return answer


def delta_of(chunk: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """(delta, finish_reason) of a chat.completion.chunk; empty where the model sent something else."""
    choices = chunk.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    delta = choice.get("delta")
    return (delta if isinstance(delta, dict) else {}), choice.get("finish_reason")


async def chunks(blocks: AsyncIterator[bytes]) -> AsyncIterator[list[dict[str, Any]]]:
    """The parsed chunks of each network block, until `[DONE]`.

    Raises UpstreamError when the answer breaks off, or when the model reports an error in its stream.
    """
    reader = sse.EventReader()
    async for block in blocks:
        found, done = _parse(_feed(reader, block))
        if found:
            yield found
        if done:
            await _until_end(blocks)
            return
    found, done = _parse(reader.finish())
    if found:
        yield found
    if not done:
        raise interrupted()


async def _until_end(blocks: AsyncIterator[bytes]) -> None:
    """Lets the model's server end the response, so that it does not count a cancelled answer."""
    with contextlib.suppress(TimeoutError, ApiError):
        async with asyncio.timeout(_POLITE_SECONDS):
            async for _ in blocks:
                pass


def _feed(reader: sse.EventReader, block: bytes) -> list[bytes]:
    try:
        return reader.feed(block)
    except ValueError:
        raise interrupted() from None


def _parse(events: list[bytes]) -> tuple[list[dict[str, Any]], bool]:
    found: list[dict[str, Any]] = []
    for event in events:
        if event == b"[DONE]":
            return found, True
        try:
            chunk = json.loads(event)
        except (ValueError, RecursionError):
            raise interrupted() from None
        if not isinstance(chunk, dict) or "error" in chunk:
            raise interrupted()
        found.append(chunk)
    return found, False


async def collect(blocks: AsyncIterator[bytes], record: Record) -> Collector:
    """The complete answer. Raises UpstreamError when it breaks off."""
    collector = Collector()
    async for found in chunks(blocks):
        record.first_piece()
        for chunk in found:
            collector.take(chunk, record)
    return collector
