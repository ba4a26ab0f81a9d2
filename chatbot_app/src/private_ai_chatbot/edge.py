"""The outermost layer, plain ASGI: request id, path prefix, security headers, log line, last resort."""

from __future__ import annotations

import logging
import re
import uuid

from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import ApiError
from .exchange import RECORD, Record

log = logging.getLogger("private_ai_chatbot.request")

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types dompurify"
)
_PERMISSIONS_POLICY = (
    "accelerometer=(), autoplay=(), camera=(), display-capture=(), encrypted-media=(), fullscreen=(), "
    "geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), "
    "picture-in-picture=(), usb=(), xr-spatial-tracking=()"
)
SECURITY_HEADERS: list[tuple[bytes, bytes]] = [
    (name.encode(), value.encode())
    for name, value in (
        ("content-security-policy", CONTENT_SECURITY_POLICY),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("permissions-policy", _PERMISSIONS_POLICY),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    )
]
_QUIET = ("/healthz", "/readyz", "/metrics", "/static/")  # logged at debug level only


class Edge:
    """Wraps the whole application, so that every answer, errors included, passes here."""

    def __init__(self, app: ASGIApp, root_path: str = "") -> None:
        self._app = app
        self._root = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = Record(_request_id(scope))
        scope[RECORD] = record
        path = self._strip_prefix(scope)
        extra = [(b"x-request-id", record.request_id.encode("ascii")), *SECURITY_HEADERS]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                headers = [*message.get("headers", ()), *extra]
                if not any(name.lower() == b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-store"))
                message = {**message, "headers": headers}
            await send(message)

        try:
            if self._root and path == self._root:  # without the slash the page's relative addresses are wrong
                await RedirectResponse(self._root + "/", 308)(scope, receive, send_with_headers)
            else:
                await self._app(scope, receive, send_with_headers)
        except Exception:
            record.outcome = "error"
            log.exception("unexpected error", extra={"fields": {"request_id": record.request_id}})
            if not record.status:
                await internal_error()(scope, receive, send_with_headers)
        finally:
            _write_log(scope["method"], path, record)

    def _strip_prefix(self, scope: Scope) -> str:
        """Works with proxies that leave ROOT_PATH in the path and with those that take it out."""
        path: str = scope["path"]
        if self._root and path != self._root:
            if not path.startswith(self._root + "/"):
                path = self._root + path
            scope["root_path"] = self._root
            scope["path"] = path
            return path.removeprefix(self._root)
        return path


def internal_error() -> JSONResponse:
    """500 without any detail; the log has type and place."""
    error = ApiError(
        500, "Something went wrong inside this server.", code="internal_error", kind="server_error"
    )
    return JSONResponse(error.body(), 500)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value, "ascii")
    return uuid.uuid4().hex


def _write_log(method: str, path: str, record: Record) -> None:
    level = logging.INFO if record.asked else logging.DEBUG if path.startswith(_QUIET) else logging.INFO
    if not log.isEnabledFor(level):
        return
    fields: dict[str, object] = {
        "request_id": record.request_id,
        "method": method,
        "path": path[:100],
        "status": record.status or None,  # null: the visitor left before there was an answer
        "duration_ms": _ms(record.age),
    }
    if record.asked:
        fields |= {
            "outcome": record.outcome,
            "visitor": record.visitor,
            "ttft_ms": _ms(record.ttft),
            "queue_ms": _ms(record.queue),
            "completion_tokens": record.tokens,
            "retries": record.retries,
        }
    log.log(level, "request", extra={"fields": fields})


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
