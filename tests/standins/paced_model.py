#!/usr/bin/env python3
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for a slow model server: it speaks the OpenAI API at a steady pace.

It is not a model. The tests of the gateway and of the chatbot need answers that last long enough
for a queue, a stop button or a reload to matter, which the demo model, ready in milliseconds,
would hide. Whatever can be asked of the real ``ilab model serve`` is tested with the real one.

    python tests/standins/paced_model.py --port 8001 --rate 20 --tokens 1200 \\
        --limit-concurrency 2 --api-key inner --stats-port 9001

With ``--limit-concurrency 2`` it runs under uvicorn exactly as ilab does: keep-alive off, one
connection served at a time (the asking connection counts), any other refused with 503. It then
has one engine too: an unstreamed answer whose client has left runs to its end and keeps the next
one waiting. Without the option every request is answered at once.

A streamed answer starts with ``<think>`` and is noticed to be abandoned at its next chunk.

``GET /_stats`` on the statistics port (never on the model's own, where it would count as a
connection) answers::

    {"open_streams", "started", "finished", "cancelled", "rejected", "unauthorized", "models",
     "order": [X-Request-Id of the requests in the order they were started], "open": [... running]}

where ``rejected`` counts the 503 given by uvicorn and ``models`` the calls of ``/v1/models``.
``POST /_stats/reset`` sets the counters to zero.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import signal
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

THINKING = ["<think>", "\n", "The", " question", " is", " short", ".", "\n", "</think>", "\n\n"]
WORDS = [" the", " paced", " answer", " arrives", " word", " by", " word", ","]


def answer_tokens(count: int) -> list[str]:
    """The first ``count`` tokens of the answer every question gets: a thought, then words."""
    words = [WORDS[i % len(WORDS)] for i in range(max(0, count - len(THINKING)))]
    return (THINKING + words)[:count]


@dataclass
class Settings:
    """How fast and how long answers are: ``rate`` in tokens per second (0: no pause)."""

    rate: float = 20.0
    tokens: int = 1200
    first_token_delay: float = 0.0
    limit_concurrency: int | None = None
    api_key: str | None = None
    model: str = "paced"


@dataclass
class Stats:
    """What happened since the start or the last reset."""

    started: int = 0
    finished: int = 0
    cancelled: int = 0
    rejected: int = 0
    unauthorized: int = 0
    models: int = 0
    order: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The body of ``GET /_stats``."""
        return {"open_streams": len(self.open), **self.__dict__}

    def reset(self) -> None:
        """Forget the past; what runs now stays listed as open."""
        running = self.open
        self.__init__()  # type: ignore[misc]
        self.open = running


class RejectionCounter(logging.Filter):
    """Counts uvicorn's refusals, which never reach the application."""

    def __init__(self, stats: Stats) -> None:
        super().__init__()
        self.stats = stats

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass; count the one that uvicorn writes for each refusal."""
        if "Exceeded concurrency limit" in record.getMessage():
            self.stats.rejected += 1
        return True


def error(status: int, message: str, code: str) -> JSONResponse:
    """An OpenAI-style error."""
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
    return JSONResponse(body, status_code=status)


class PacedModel:
    """The API: two kinds of completions and the list of one model."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stats = Stats()
        # A server that admits one connection has one engine; an unlimited one answers all at once.
        self.engine: Any = asyncio.Lock() if settings.limit_concurrency else contextlib.nullcontext()

    def app(self) -> Starlette:
        """The application on the model's port."""
        return Starlette(
            routes=[
                Route("/", self.root),
                Route("/v1/models", self.models),
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/v1/completions", self.completion, methods=["POST"]),
            ]
        )

    def stats_app(self) -> Starlette:
        """The application on the statistics port."""
        return Starlette(
            routes=[
                Route("/_stats", self.show_stats),
                Route("/_stats/reset", self.reset_stats, methods=["POST"]),
            ]
        )

    def allowed(self, request: Request) -> bool:
        """Whether the request carries the key, if one is asked for."""
        key = self.settings.api_key
        if key is None or request.headers.get("authorization") == f"Bearer {key}":
            return True
        self.stats.unauthorized += 1
        return False

    async def root(self, request: Request) -> Response:
        """What a health check asks for."""
        return PlainTextResponse("paced stand-in\n")

    async def models(self, request: Request) -> Response:
        """The list of the one model."""
        if not self.allowed(request):
            return error(401, "Invalid API key", "invalid_api_key")
        self.stats.models += 1
        return JSONResponse(
            {"object": "list", "data": [{"id": self.settings.model, "object": "model", "owned_by": "me"}]}
        )

    async def chat(self, request: Request) -> Response:
        """``/v1/chat/completions``: the question is not looked at."""
        return await self.answer(request, chat=True)

    async def completion(self, request: Request) -> Response:
        """``/v1/completions``."""
        return await self.answer(request, chat=False)

    async def answer(self, request: Request, *, chat: bool) -> Response:
        """Check the request, then stream or collect the answer."""
        if not self.allowed(request):
            return error(401, "Invalid API key", "invalid_api_key")
        try:
            body = await request.json()
        except ValueError:
            return error(422, "the body is not JSON", "invalid_json")
        wanted = "messages" if chat else "prompt"
        if not isinstance(body, dict) or not body.get(wanted):
            return error(422, f"{wanted} is missing or empty", "missing_field")
        limit = body.get("max_tokens") or body.get("max_completion_tokens") or self.settings.tokens
        count = max(1, min(int(limit), self.settings.tokens))
        ident = request.headers.get("x-request-id", uuid.uuid4().hex)
        if body.get("stream"):
            events = self.stream(request, ident, count, chat)
            return StreamingResponse(events, media_type="text/event-stream")
        # Like ilab: once begun, an unstreamed answer is computed to its end, client or not.
        return await asyncio.shield(asyncio.ensure_future(self.collect(ident, count, chat)))

    async def pause(self, begin: float, index: int) -> None:
        """Wait until token ``index`` is due; a fixed schedule, so that delays do not add up."""
        if self.settings.rate:
            due = begin + index / self.settings.rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    @contextlib.contextmanager
    def counted(self, ident: str) -> Any:
        """Count a request as started, and as finished unless it is left earlier."""
        self.stats.started += 1
        self.stats.order.append(ident)
        self.stats.open.append(ident)
        complete = False
        try:
            yield
            complete = True
        finally:
            self.stats.open.remove(ident)
            if complete:
                self.stats.finished += 1
            else:
                self.stats.cancelled += 1

    async def stream(self, request: Request, ident: str, count: int, chat: bool) -> AsyncIterator[str]:
        """Server-sent events, one token each, then the reason of the end and ``[DONE]``."""
        async with self.engine:
            if await request.is_disconnected():
                return
            with self.counted(ident):
                base = {
                    "id": f"paced-{ident}",
                    "object": "chat.completion.chunk" if chat else "text_completion",
                    "created": int(time.time()),
                    "model": self.settings.model,
                }
                if chat:
                    yield event(base, choice({"role": "assistant"}, chat=True))
                await asyncio.sleep(self.settings.first_token_delay)
                begin = time.monotonic()
                for index, token in enumerate(answer_tokens(count)):
                    await self.pause(begin, index)
                    if await request.is_disconnected():
                        raise asyncio.CancelledError
                    yield event(base, choice({"content": token}, chat=chat, text=token))
                yield event(base, choice({}, chat=chat, finish="stop"))
                yield "data: [DONE]\n\n"

    async def collect(self, ident: str, count: int, chat: bool) -> Response:
        """The whole answer in one JSON object, after the time its tokens take."""
        async with self.engine:
            with self.counted(ident):
                await asyncio.sleep(self.settings.first_token_delay)
                await self.pause(time.monotonic(), count - 1)
        text = "".join(answer_tokens(count))
        one = {"index": 0, "finish_reason": "stop"}
        content: dict[str, Any] = (
            {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        )
        return JSONResponse(
            {
                "id": f"paced-{ident}",
                "object": "chat.completion" if chat else "text_completion",
                "created": int(time.time()),
                "model": self.settings.model,
                "choices": [{**one, **content}],
                "usage": {"prompt_tokens": 1, "completion_tokens": count, "total_tokens": count + 1},
            }
        )

    async def show_stats(self, request: Request) -> Response:
        """The counters."""
        return JSONResponse(self.stats.as_json())

    async def reset_stats(self, request: Request) -> Response:
        """Set the counters to zero."""
        self.stats.reset()
        return JSONResponse(self.stats.as_json())


def choice(delta: dict[str, str], *, chat: bool, text: str = "", finish: str | None = None) -> dict[str, Any]:
    """One element of ``choices`` in a chunk."""
    content: dict[str, Any] = {"delta": delta} if chat else {"text": text}
    return {"index": 0, "finish_reason": finish, **content}


def event(base: dict[str, Any], one: dict[str, Any]) -> str:
    """One server-sent event."""
    return "data: " + json.dumps({**base, "choices": [one]}) + "\n\n"


async def serve(args: argparse.Namespace) -> None:
    """Run both ports until SIGTERM or SIGINT."""
    model = PacedModel(
        Settings(
            rate=args.rate,
            tokens=args.tokens,
            first_token_delay=args.first_token_delay,
            limit_concurrency=args.limit_concurrency,
            api_key=args.api_key,
            model=args.model,
        )
    )
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(RejectionCounter(model.stats))
    common: dict[str, Any] = {"host": args.host, "log_config": None, "access_log": False, "lifespan": "off"}
    servers = [
        uvicorn.Server(
            uvicorn.Config(
                model.app(),
                port=args.port,
                limit_concurrency=args.limit_concurrency,
                timeout_keep_alive=0 if args.limit_concurrency else 5,
                timeout_graceful_shutdown=1,
                **common,
            )
        )
    ]
    if args.stats_port:
        servers.append(uvicorn.Server(uvicorn.Config(model.stats_app(), port=args.stats_port, **common)))

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    for server in servers:
        # Two servers share the loop: uvicorn's own handlers would stop only the last.
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    await asyncio.gather(*(server.serve() for server in servers))


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--stats-port", type=int, help="where GET /_stats is answered (default: nowhere)")
    parser.add_argument("--rate", type=float, default=20.0, help="tokens per second; 0 for no pause")
    parser.add_argument("--tokens", type=int, default=1200, help="length of an answer, and its upper limit")
    parser.add_argument("--first-token-delay", type=float, default=0.0, help="seconds of reading the prompt")
    parser.add_argument("--limit-concurrency", type=int, help="as ilab: 2 admits one connection at a time")
    parser.add_argument("--api-key", help="refuse requests without this Bearer key (default: no key needed)")
    parser.add_argument("--model", default="paced", help="name of the model")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
