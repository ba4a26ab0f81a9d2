"""One question on its way: its record, and the watch that ends the work when the visitor leaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Receive, Scope

from .errors import ApiError

RECORD = "private_ai_chatbot.record"  # key in the ASGI scope


@dataclass(slots=True)
class Record:
    """What the log and the metrics say about one request; never what was asked or answered."""

    request_id: str
    visitor: str = "unknown"
    outcome: str = "ok"
    status: int = 0
    asked: bool = False  # a question for the model
    tokens: int = 0
    retries: int = 0
    complete: bool = False  # the model has said its last word; leaving now is no cancelling
    ttft: float | None = None  # seconds from arrival to the first piece of the answer
    queue: float | None = None  # seconds from arrival until the model began to answer
    started: float = field(default_factory=time.monotonic)

    @property
    def age(self) -> float:
        """Seconds since the request arrived."""
        return time.monotonic() - self.started

    def first_piece(self) -> None:
        """Notes the first piece of the answer."""
        if self.ttft is None:
            self.ttft = self.age


def record_of(scope: Scope) -> Record:
    """The record that the outermost layer has put into the scope."""
    record = scope[RECORD]
    assert isinstance(record, Record)
    return record


class VisitorGone(Exception):
    """The visitor closed the connection."""


class ShuttingDown(Exception):
    """The time for running answers is over; the process ends now."""


class Watch:
    """Runs work only while the visitor is there and the process stays."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._stopped = False

    def stop(self) -> None:
        """Ends the work: `run` raises ShuttingDown."""
        self._stopped = True
        if self._task is not None:
            self._task.cancel()

    async def run(self, receive: Receive, work: Coroutine[Any, Any, None]) -> None:
        """Runs `work`. Raises VisitorGone or ShuttingDown after having cancelled it and seen its end."""
        self._task = asyncio.create_task(work)
        listening = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait((self._task, listening), return_when=asyncio.FIRST_COMPLETED)
            if self._stopped and (self._task.cancelled() or not self._task.done()):
                raise ShuttingDown
            if not self._task.done():
                raise VisitorGone
            self._task.result()
        finally:
            self._task.cancel()
            listening.cancel()
            await asyncio.gather(self._task, listening, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def read_body(scope: Scope, receive: Receive, limit: int, seconds: float) -> bytes:
    """The request body. Raises ApiError 413 as soon as it passes `limit` bytes, 408 after `seconds`."""
    headers = dict(scope["headers"])
    kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    if kind != b"application/json":
        # Also what keeps a foreign web page from asking in its visitor's name without a preflight.
        raise ApiError(415, "Content-Type must be application/json.", code="unsupported_media_type")
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length[:18]) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise VisitorGone
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                chunks.append(chunk)
                if not message.get("more_body", False):
                    return b"".join(chunks)
    except TimeoutError:
        raise ApiError(
            408, f"The body did not arrive within {seconds:g} seconds. Send it again.", code="request_timeout"
        ) from None


def _too_large(limit: int) -> ApiError:
    return ApiError(
        413,
        f"The request is longer than {limit} bytes. Shorten it or start a new conversation.",
        code="request_too_large",
    )
