"""The stream for our own page: place in the queue, patient retries, thinking apart from the answer."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator
from typing import Any

from . import sse
from .config import Settings
from .errors import ApiError
from .exchange import Record
from .relay import Sender, chunks, delta_of
from .thinking import Part, ThinkingParser
from .upstream import Unreachable, Upstream, UpstreamError
from .waiting import Backend, GatewayStatus, WaitingLine

_BACKOFF = (1.0, 2.0, 4.0, 8.0, 15.0)  # where the gateway gives no Retry-After
_TRIES = 4  # a restarting gateway or model is back within seconds; one that is gone is not worth a long wait


class PageStream:
    """Answers one question of the page; see README, "The page's stream"."""

    def __init__(
        self,
        settings: Settings,
        upstream: Upstream,
        backend: Backend,
        line: WaitingLine,
        sender: Sender,
        record: Record,
    ) -> None:
        self._settings = settings
        self._upstream = upstream
        self._backend = backend
        self._line = line
        self._sender = sender
        self._record = record
        self._parser = ThinkingParser(settings.thinking)
        self._head: dict[str, Any] = {}
        self._queue_events: set[asyncio.Task[None]] = set()

    async def run(self, body: bytes) -> None:
        """Sends everything from the headers to `[DONE]`."""
        await self._sender.start()
        await self._sender.send(sse.HEARTBEAT)
        async with self._sender.heartbeats():
            try:
                await self._ask_patiently(body)
            except ApiError as exc:
                self._record.outcome = exc.outcome
                await self._sender.send(sse.event("error", exc.body()))
            await self._sender.send(sse.DONE)
        await self._sender.end()

    async def _ask_patiently(self, body: bytes) -> None:
        tries = 0
        while True:
            try:
                return await self._ask(body)
            except UpstreamError as exc:
                tries += not exc.patient
                pause = self._pause(exc)
                if (
                    not exc.retriable
                    or tries >= _TRIES
                    or self._record.ttft is not None
                    or self._record.age + pause > self._settings.max_wait_seconds
                ):
                    raise
                await self._sender.send(sse.event("retry", {"after": math.ceil(pause), "reason": exc.reason}))
            self._record.retries += 1
            await asyncio.sleep(pause)

    def _pause(self, exc: UpstreamError) -> float:
        """Seconds until the next try: not less than asked for, and spread, so that not all come at once."""
        asked = exc.retry_after
        base = _BACKOFF[min(self._record.retries, len(_BACKOFF) - 1)] if asked is None else float(asked)
        return base + random.uniform(0, 0.25) * max(base, 1.0)  # noqa: S311  not a secret

    async def _ask(self, body: bytes) -> None:
        waiter = self._line.join(self._place_changed)
        try:
            async with self._upstream.chat(body, self._record.request_id) as blocks:
                self._line.leave(waiter)
                self._drop_queue_events()
                self._record.queue = self._record.age
                self._backend.answered()
                await self._relay(blocks)
        except Unreachable as exc:
            self._backend.failed(exc)
            raise
        finally:
            self._line.leave(waiter)
            self._drop_queue_events()

    def _place_changed(self, place: int, status: GatewayStatus) -> None:
        value = {"position": place, "queued": status.queued, "active": status.active, "up": status.up}
        task = asyncio.create_task(self._sender.send(sse.event("queue", value)))
        self._queue_events.add(task)
        task.add_done_callback(self._queue_events.discard)

    def _drop_queue_events(self) -> None:
        for task in self._queue_events:
            task.cancel()

    async def _relay(self, blocks: AsyncIterator[bytes]) -> None:
        finish = None
        async for found in chunks(blocks):
            out = []
            for chunk in found:
                if not self._head:
                    self._head = {name: chunk.get(name) for name in ("id", "created", "model")}
                    out.append(self._chunk({"role": "assistant"}))
                delta, reason = delta_of(chunk)
                finish = reason or finish
                if reasoning := delta.get("reasoning_content"):
                    self._record.tokens += 1
                    out.append(self._chunk({"reasoning_content": reasoning}))
                if content := delta.get("content"):
                    self._record.tokens += 1
                    out += self._pieces(self._parser.feed(content))
            if self._record.tokens:
                self._record.first_piece()
            if out:
                await self._sender.send(b"".join(out))
        self._record.complete = True
        out = self._pieces(self._parser.finish())
        out.append(self._chunk({}, finish or "stop"))
        out.append(sse.event("usage", self._usage()))
        await self._sender.send(b"".join(out))

    def _pieces(self, parts: list[tuple[Part, str]]) -> list[bytes]:
        out = []
        for part, text in parts:
            if part is Part.RECLASSIFY:
                out.append(sse.event("reclassify", {"to": "reasoning"}))
            else:
                out.append(self._chunk({"content" if part is Part.ANSWER else "reasoning_content": text}))
        return out

    def _chunk(self, delta: dict[str, str], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return sse.data({**self._head, "object": "chat.completion.chunk", "choices": [choice]})

    def _usage(self) -> dict[str, float | int]:
        record = self._record
        first = record.ttft if record.ttft is not None else record.age
        return {
            "completion_tokens": record.tokens,
            "seconds": round(record.age, 3),
            "first_token_seconds": round(first, 3),
        }
