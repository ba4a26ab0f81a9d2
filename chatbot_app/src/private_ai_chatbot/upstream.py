"""Asking the model: one streamed request, its refusals in plain terms, and the key that goes with it."""

from __future__ import annotations

import json
import logging
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from .config import Settings, read_key_file
from .direct import DirectTransport
from .errors import ApiError

log = logging.getLogger("private_ai_chatbot.upstream")

_CONNECT_SECONDS = 5.0
_MAX_ERROR_BYTES = 16 * 1024
_QUEUE_WAIT_SECONDS = 2.0  # a 503 that came later than this waited in a queue before


class UpstreamError(ApiError):
    """The model did not answer. `reason` is for the `retry` event; `retriable` says whether waiting helps."""

    reason = "busy"
    retriable = False
    patient = False  # wait as long as it takes, not only for a few tries


class Refused(UpstreamError):
    """The gateway or the model is busy (429 or 503): ask again later."""

    retriable = True
    patient = True


class Unreachable(UpstreamError):
    """No connection to the gateway, no replica behind it, or one that dies of the question."""

    reason = "offline"
    retriable = True


class Upstream:
    """Talks to the model's base URL. One connection per request, nothing kept open in between."""

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._transport = transport or DirectTransport(_tls(settings.address))
        self._chat_url = httpx.URL(settings.address + "/v1/chat/completions")
        self._status_url = httpx.URL(settings.address + "/gateway/status")
        self._host = self._chat_url.netloc
        self._key = settings.api_key
        self._timeout = {"connect": _CONNECT_SECONDS, "read": settings.upstream_timeout_seconds}
        self.reload_key()

    def reload_key(self) -> bool:
        """Reads the key file again; whether the key has changed (a rotated Secret)."""
        before = self._key
        if self._settings.api_key_file:
            try:
                self._key = read_key_file(self._settings.api_key_file)
            except (OSError, ValueError) as exc:
                log.error("API_KEY_FILE cannot be read (%s): the last key is kept", type(exc).__name__)
        return self._key != before

    @asynccontextmanager
    async def chat(self, body: bytes, request_id: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The blocks of a streamed answer. Leaving the context closes the connection, which stops the model.

        Raises UpstreamError before the first block; inside, the iterator raises `Interrupted`.
        """
        started = time.monotonic()
        response = await self._send(body, request_id)
        try:
            if response.status_code == 401 and self.reload_key():
                await response.aclose()
                response = await self._send(body, request_id)
            if response.status_code != 200:
                raise await _refusal(response, time.monotonic() - started)
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                log.error("the model's server answered without a stream")
                raise _broken()
            yield _blocks(response)
        finally:
            await response.aclose()

    async def _send(self, body: bytes, request_id: str) -> httpx.Response:
        request = httpx.Request(
            "POST",
            self._chat_url,
            headers=[
                (b"host", self._host),
                (b"content-type", b"application/json"),
                (b"accept", b"text/event-stream"),
                (b"accept-encoding", b"identity"),
                (b"x-request-id", request_id.encode("ascii")),
                *self._authorization(),
            ],
            content=body,
            extensions={"timeout": self._timeout},
        )
        try:
            return await self._transport.handle_async_request(request)
        except httpx.ReadTimeout:
            raise _timed_out() from None
        except httpx.TransportError as exc:
            log.warning("no answer from the model's server: %s", exc)
            raise unreachable() from None

    async def status(self, timeout: float = 3.0) -> httpx.Response:
        """`GET /gateway/status`, read completely. Raises httpx.TransportError."""
        request = httpx.Request(
            "GET",
            self._status_url,
            headers=[(b"host", self._host), (b"accept", b"application/json"), *self._authorization()],
            extensions={"timeout": {"connect": timeout, "read": timeout}},
        )
        response = await self._transport.handle_async_request(request)
        try:
            await _read_some(response)
        finally:
            await response.aclose()
        return response

    def _authorization(self) -> list[tuple[bytes, bytes]]:
        return [(b"authorization", b"Bearer " + self._key.encode("ascii"))] if self._key else []

    async def aclose(self) -> None:
        """Frees what the transport holds."""
        await self._transport.aclose()


async def _blocks(response: httpx.Response) -> AsyncIterator[bytes]:
    stream = response.stream
    assert isinstance(stream, httpx.AsyncByteStream)
    try:
        async for block in stream:
            yield block
    except httpx.TransportError as exc:
        log.warning("the model's answer broke off: %s", exc)
        raise interrupted() from None


async def _read_some(response: httpx.Response) -> bytes:
    """At most 16 KiB of the body, also stored in `response` for `.json()`."""
    stream = response.stream
    assert isinstance(stream, httpx.AsyncByteStream)
    content = b""
    async for block in stream:
        content += block
        if len(content) > _MAX_ERROR_BYTES:
            break
    response.extensions["content"] = content
    return content


def retry_after(value: str | None) -> int | None:
    """Seconds of a Retry-After header, which may also be a date; None when it is absent or unreadable."""
    if not value:
        return None
    if value.strip().isdigit():
        return min(int(value.strip()[:9]), 86400)
    try:
        seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return None
    return max(0, min(int(seconds) + 1, 86400))


async def _refusal(response: httpx.Response, waited: float) -> ApiError:
    """Turns an error status of the gateway or the model into what the visitor is told."""
    try:
        content = await _read_some(response)
    except httpx.TransportError:
        content = b""
    status, after = response.status_code, retry_after(response.headers.get("retry-after"))
    detail = _error_of(content)
    if status == 429:
        return _busy(Refused, 429, "full", "queue_full", "The waiting line of the model is full.", after)
    if status == 503:
        reported = str(detail.get("code"))
        if reported == "no_model":
            text = "No model is running at the moment."
            return _busy(Unreachable, 503, "offline", "model_unreachable", text, after)
        if waited > _QUEUE_WAIT_SECONDS or "timeout" in reported:
            text = "The model did not become free in time."
            return _busy(Refused, 503, "timeout", "queue_timeout", text, after)
        return _busy(Refused, 503, "busy", "busy", "The model is busy.", after)
    if status in (401, 403):
        log.error("the model's server refused the key (%d): is API_KEY_FILE one of its keys?", status)
        return _operator(
            "key_refused", "The model refused this server's key; the operator has to correct it."
        )
    if status == 502:
        text = "The model ended before it answered."
        return _busy(Unreachable, 502, "offline", "interrupted", text, after)
    if status == 504:
        return _timed_out()
    if status in (400, 413, 422):
        message = str(detail.get("message") or "The model refused the request.")[:500]
        code = str(detail.get("code") or "model_error")[:60]
        return ApiError(413 if status == 413 else 400, message, code=code, param="messages")
    log.error("the model's server answered with status %d", status)
    return _broken()


def _error_of(content: bytes) -> dict[str, object]:
    try:
        value = json.loads(content)
        error = value.get("error", value) if isinstance(value, dict) else {}
        return error if isinstance(error, dict) else {}
    except (ValueError, RecursionError):
        return {}


def _busy(
    kind: type[UpstreamError], status: int, reason: str, code: str, message: str, after: int | None
) -> UpstreamError:
    wait = f"Try again in {after} seconds." if after else "Try again a little later."
    outcome = "offline" if kind is Unreachable else "busy"
    error = kind(
        status, f"{message} {wait}", code=code, kind="server_busy_error", retry_after=after, outcome=outcome
    )
    error.reason = reason
    return error


def unreachable() -> Unreachable:
    """503: nobody answers at the model's address."""
    return Unreachable(
        503,
        "The model cannot be reached. Try again a little later.",
        code="model_unreachable",
        kind="server_error",
        outcome="offline",
    )


def interrupted() -> UpstreamError:
    """The answer ended before its end mark."""
    return UpstreamError(
        502,
        "The model stopped in the middle of its answer. Ask again.",
        code="interrupted",
        kind="server_error",
        outcome="upstream_error",
    )


def _timed_out() -> UpstreamError:
    return UpstreamError(
        504,
        "The model said nothing for too long. Try again later or ask something shorter.",
        code="timeout",
        kind="server_error",
        outcome="upstream_error",
    )


def _broken() -> UpstreamError:
    return _operator("model_error", "The model's server gave an answer that cannot be used.")


def _operator(code: str, message: str) -> UpstreamError:
    return UpstreamError(502, message, code=code, kind="server_error", outcome="upstream_error")


def _tls(address: str) -> ssl.SSLContext | None:
    """The system's certificates (and SSL_CERT_FILE), loaded once, for an https address."""
    return ssl.create_default_context() if address.startswith("https:") else None
