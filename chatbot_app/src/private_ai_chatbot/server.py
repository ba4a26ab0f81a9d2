"""Runs both ports in one process, and drains on SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import ssl
import sys
from asyncio import TimerHandle, Transport
from collections.abc import Callable, Generator, Mapping

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from . import __version__, logs
from .app import create_app, create_metrics_app
from .config import ConfigError, Network, Settings, load_settings
from .endpoints import Service
from .tls import ServerCertificate
from .visitors import is_among, parse_address

log = logging.getLogger("private_ai_chatbot")

EXIT_CONFIG = 2
_KEEP_ALIVE_SECONDS = 75  # longer than common proxies keep an idle connection
_LAST_WORDS_SECONDS = 2


class DeadlineProtocol(HttpToolsProtocol):
    """uvicorn's protocol with two deadlines and a list of sources that uvicorn itself does not have.

    A connection that sends its request head drop by drop (or not at all) is closed, and so is one that takes
    nothing of what is sent to it: its visitor would keep the model busy. One from a source not allowed
    is closed before a byte of it is read.
    """

    allowed_sources: tuple[Network, ...] = ()
    closing: Callable[[], bool] = staticmethod(lambda: False)

    head_seconds = 30.0
    stall_seconds = 60.0
    _head_timer: TimerHandle | None = None
    _stall_timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        if self.allowed_sources and not (peer and is_among(parse_address(peer[0]), self.allowed_sources)):
            transport.abort()
            return
        self.on_head_begins()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.on_head_begins()

    def on_head_begins(self) -> None:
        """Starts the head's deadline, once."""
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds, self.transport.abort)

    def on_headers_complete(self) -> None:
        _cancel(self._head_timer)
        self._head_timer = None
        super().on_headers_complete()
        if self.closing():
            # A proxy's idle connection would bring questions to a server that is going away.
            self.cycle.keep_alive = False
            self.headers.append((b"connection", b"close"))

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall_timer = self.loop.call_later(self.stall_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        _cancel(self._stall_timer)
        self._stall_timer = None
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        _cancel(self._head_timer)
        self._head_timer = None
        _cancel(self._stall_timer)
        self._stall_timer = None
        super().connection_lost(exc)


def _cancel(timer: TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


class _Server(uvicorn.Server):
    """A server that leaves signals to `serve` below: two of them share the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def listen(host: str, port: int, variable: str) -> socket.socket:
    """A listening socket. Raises ConfigError when the port cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as exc:
        raise ConfigError(
            [f"{variable} is {port}: cannot listen on {host}:{port} ({exc.strerror}); choose a free port"]
        ) from None


def make_server(
    app: ASGIApp,
    settings: Settings,
    closing: Callable[[], bool] = lambda: False,
    tls: ssl.SSLContext | None = None,
) -> uvicorn.Server:
    """A server for `app`, not yet running. `closing`: whether a connection ends with its next answer."""
    rules = {
        "head_seconds": settings.request_timeout_seconds,
        "stall_seconds": settings.stall_seconds,
        "allowed_sources": settings.allowed_sources,
        "closing": staticmethod(closing),
    }
    protocol = type("Protocol", (DeadlineProtocol,), rules)
    return _Server(
        uvicorn.Config(
            app,
            loop="asyncio",
            http=protocol,
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # X-Forwarded-For is read by `visitors`, only through TRUSTED_PROXIES
            server_header=False,
            ssl_context_factory=(lambda _config, _default: tls) if tls else None,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            # The answers are ended by `drain`; this is for what does not listen to it.
            timeout_graceful_shutdown=int(settings.drain_seconds) + _LAST_WORDS_SECONDS,
        )
    )


async def serve(
    settings: Settings, service: Service, main_socket: socket.socket, metrics_socket: socket.socket
) -> None:
    """Serves until SIGTERM or SIGINT, then lets running answers end."""
    server = make_server(create_app(service), settings, lambda: service.draining, _tls(settings))
    metrics = make_server(create_metrics_app(service), settings)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stopping.is_set():  # the second signal: now
            service.stop_all()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    metrics_task = asyncio.create_task(metrics.serve([metrics_socket]))
    server_task = asyncio.create_task(server.serve([main_socket]))
    log.info("ready", extra={"fields": _about(settings, main_socket, metrics_socket)})
    stop_task = asyncio.create_task(stopping.wait())
    await asyncio.wait((server_task, metrics_task, stop_task), return_when=asyncio.FIRST_COMPLETED)
    await drain(settings, service, server, server_task)
    stop_task.cancel()
    metrics.should_exit = True
    await asyncio.gather(server_task, metrics_task)


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if not settings.tls_certificate_file:
        return None
    return ServerCertificate(settings.tls_certificate_file, settings.tls_key_file).context


async def drain(
    settings: Settings, service: Service, server: uvicorn.Server, task: asyncio.Task[None]
) -> None:
    """Unready at once; after DRAIN_DELAY_SECONDS no new connections; running answers get DRAIN_SECONDS."""
    service.draining = True
    log.info("draining", extra={"fields": {"open": len(service.watches)}})
    if settings.drain_delay_seconds:
        await asyncio.wait((task,), timeout=settings.drain_delay_seconds)
    server.should_exit = True
    done, _ = await asyncio.wait((task,), timeout=settings.drain_seconds)
    if not done:
        log.warning("DRAIN_SECONDS are over", extra={"fields": {"open": len(service.watches)}})
        service.stop_all()
        await asyncio.wait((task,), timeout=_LAST_WORDS_SECONDS + 1)


def _about(
    settings: Settings, main_socket: socket.socket, metrics_socket: socket.socket
) -> dict[str, object]:
    return {
        "version": __version__,
        "port": main_socket.getsockname()[1],
        "metrics_port": metrics_socket.getsockname()[1],
        "tls": bool(settings.tls_certificate_file),
        "address": settings.address,
        "key": "from a file" if settings.api_key_file else "from API_KEY" if settings.api_key else "none",
    }


def main(environ: Mapping[str, str] | None = None) -> int:
    """The console script. Returns the exit status: 2 for a configuration that cannot be used."""
    try:
        settings = load_settings(os.environ if environ is None else environ)
        sockets = (
            listen(settings.host, settings.port, "PORT"),
            listen(settings.host, settings.metrics_port, "METRICS_PORT"),
        )
    except ConfigError as exc:
        count = len(exc.problems)
        print(f"private-ai-chatbot: wrong configuration, problems: {count}", file=sys.stderr)
        for problem in exc.problems:
            print(f"  - {problem}", file=sys.stderr)
        return EXIT_CONFIG
    logs.configure(settings.log_level)
    asyncio.run(serve(settings, Service(settings), *sockets))
    return 0
