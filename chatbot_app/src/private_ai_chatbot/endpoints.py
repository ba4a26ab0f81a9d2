"""The routes that ask the model, as plain ASGI applications: they see the visitor leave at any moment."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from . import sse
from .config import Settings
from .errors import ApiError
from .exchange import Record, ShuttingDown, VisitorGone, Watch, read_body, record_of
from .metrics import Metrics
from .page import PageStream
from .payload import Ask, build_chat, build_question, parse_json
from .relay import Collector, Sender, collect, relay_bytes
from .thinking import split_answer
from .upstream import Unreachable, Upstream
from .visitors import Address, Visitors, shortened, visitor_address, visitor_key
from .waiting import Backend, WaitingLine

log = logging.getLogger("private_ai_chatbot")


class Service:
    """All that the routes share. Nothing in it outlives a request except counters and the backend's state."""

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.settings = settings
        self.upstream = Upstream(settings, transport)
        self.backend = Backend(self.upstream)
        self.line = WaitingLine(self.backend, settings.queue_poll_seconds)
        self.visitors = Visitors(settings.rate_limit_per_minute, settings.max_open_per_visitor)
        self.metrics = Metrics(settings.model_name, lambda: len(self.line), self.backend)
        self.draining = False
        self.watches: set[Watch] = set()

    def stop_all(self) -> None:
        """Ends every running answer with an error; for the end of the drain time."""
        for watch in list(self.watches):
            watch.stop()

    async def aclose(self) -> None:
        """Frees the poller and the transport."""
        await self.line.aclose()
        await self.upstream.aclose()


class ModelEndpoint:
    """Admission, body, watch and bookkeeping; subclasses do the rest in `answer`."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service, settings, record = self.service, self.service.settings, record_of(scope)
        record.asked = True
        address = _address(scope, settings)
        record.visitor = shortened(address)
        service.metrics.streams.inc()
        try:
            with service.visitors.enter(visitor_key(address)):
                raw = await read_body(
                    scope, receive, settings.max_body_bytes, settings.request_timeout_seconds
                )
                await self._watched(scope, receive, send, raw, record)
        except VisitorGone:
            record.outcome = record.outcome if record.complete else "cancelled"
        except ApiError as exc:
            record.outcome = exc.outcome
            await self.refuse(exc)(scope, receive, send)
        except Exception:
            record.outcome = "error"
            raise
        finally:
            service.metrics.streams.dec()
            service.metrics.finished(record.outcome, record.age, record.ttft, record.queue, record.tokens)

    async def _watched(self, scope: Scope, receive: Receive, send: Send, raw: bytes, record: Record) -> None:
        service = self.service
        watch = Watch()
        sender = Sender(send, service.settings.heartbeat_seconds)
        service.watches.add(watch)
        try:
            await watch.run(receive, self.answer(scope, receive, sender, raw, record))
        except ShuttingDown:
            record.outcome = "draining"
            error = ApiError(
                503,
                "This server is being restarted. Ask again.",
                code="shutting_down",
                kind="server_error",
                retry_after=2,
                outcome="draining",
            )
            if not sender.started:
                raise error from None
            gap = b"" if sse.at_boundary(sender.tail) else b"\n\n"
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await sender.send(gap + self.last_words(scope, error))
                    await sender.end()
        finally:
            service.watches.discard(watch)

    async def answer(
        self, scope: Scope, receive: Receive, sender: Sender, raw: bytes, record: Record
    ) -> None:
        """Answers the question in the body `raw`. Raises ApiError before anything was sent."""
        raise NotImplementedError

    def refuse(self, exc: ApiError) -> JSONResponse:
        """The response for an error."""
        return JSONResponse(exc.body(), exc.status, exc.headers())

    def last_words(self, scope: Scope, error: ApiError) -> bytes:
        """How a stream that has begun is told about an error."""
        return sse.data(error.body())

    async def collected(self, ask: Ask, record: Record) -> Collector:
        """Asks and waits for the whole answer."""
        async with self.asked(ask, record) as blocks:
            return await collect(blocks, record)

    @asynccontextmanager
    async def asked(self, ask: Ask, record: Record) -> AsyncIterator[AsyncIterator[bytes]]:
        """The model's blocks for a client that is not told its place in the queue. Raises UpstreamError."""
        service = self.service
        waiter = service.line.join()
        try:
            async with service.upstream.chat(ask.body, record.request_id) as blocks:
                service.line.leave(waiter)
                record.queue = record.age
                service.backend.answered()
                yield blocks
        except Unreachable as exc:
            service.backend.failed(exc)
            raise
        finally:
            service.line.leave(waiter)


class Chat(ModelEndpoint):
    """`POST /v1/chat/completions`."""

    async def answer(
        self, scope: Scope, receive: Receive, sender: Sender, raw: bytes, record: Record
    ) -> None:
        service = self.service
        ask = build_chat(parse_json(raw), service.settings)
        if not ask.stream:
            collector = await self.collected(ask, record)
            await JSONResponse(collector.completion(service.settings.model_name))(scope, receive, sender.raw)
        elif _is_page(scope):
            page = PageStream(
                service.settings, service.upstream, service.backend, service.line, sender, record
            )
            await page.run(ask.body)
        else:
            await self._plain(ask, sender, record)

    async def _plain(self, ask: Ask, sender: Sender, record: Record) -> None:
        """Real status codes: the headers go out when the model has begun, not before."""
        async with self.asked(ask, record) as blocks:
            await sender.start()
            async with sender.heartbeats():
                await relay_bytes(blocks, sender, record)
            await sender.end()

    def last_words(self, scope: Scope, error: ApiError) -> bytes:
        if _is_page(scope):
            return sse.event("error", error.body()) + sse.DONE
        return super().last_words(scope, error)


class Question(ModelEndpoint):
    """`POST /api/completions` of the published application: `{"question"}` -> `{"response"}`."""

    async def answer(
        self, scope: Scope, receive: Receive, sender: Sender, raw: bytes, record: Record
    ) -> None:
        settings = self.service.settings
        collector = await self.collected(build_question(parse_json(raw), settings), record)
        answer = split_answer("".join(collector.text), settings.thinking)[1]
        await JSONResponse({"response": answer})(scope, receive, sender.raw)

    def refuse(self, exc: ApiError) -> JSONResponse:
        # Busy stays 429 or 503, so that Retry-After means something; every other failure of the model is 500.
        status = 500 if exc.outcome in ("upstream_error", "offline") else exc.status
        return JSONResponse({"error": exc.message}, status, exc.headers())


def _is_page(scope: Scope) -> bool:
    return (b"x-chatbot-events", b"1") in scope["headers"]


def _address(scope: Scope, settings: Settings) -> Address | None:
    forwarded = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    client = scope.get("client")
    return visitor_address(client[0] if client else None, forwarded, settings.trusted_proxies)
