"""An httpx transport with one fresh connection for each request, straight on asyncio and httptools.

httpx's own transport takes 2 ms more than this one before the first token (README, "Speed"), which is most of
what this application may add in total. This one does only what the relay needs: HTTP/1.1, no pool (an idle
connection to `ilab` costs a visitor a 503), no redirects, no proxies, and closing the response closes the
connection at once, which is what cancels the model.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator

import httptools
import httpx

_HIGH_WATER = 256 * 1024
_MAX_HEADER_BYTES = 64 * 1024


class _Exchange(asyncio.Protocol):
    """One request and its response on one connection; also httptools' callback object."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.transport: asyncio.Transport | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        self.status = 0
        self.head_complete = False
        self.complete = False
        self.lost: Exception | None = None
        self.closed = False
        self.chunks: deque[bytes] = deque()
        self.buffered = 0
        self.until_close = True
        self._header_bytes = 0
        self._waiter: asyncio.Future[None] | None = None

    # asyncio.Protocol
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        sock = transport.get_extra_info("socket")
        if sock is not None:  # a long wait in the queue must notice a peer that vanished
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 4)):
                if hasattr(socket, name):
                    sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            if not self.complete:
                self._fail(httpx.RemoteProtocolError(f"no valid HTTP ({type(exc).__name__})"))
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if not self.complete:
            if self.head_complete and self.until_close and exc is None:
                self.complete = True
            else:
                self._fail(httpx.RemoteProtocolError("the connection was closed before the end"))
        self._wake()

    # httptools
    def on_message_begin(self) -> None:
        self.headers = []
        self.until_close = True

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > _MAX_HEADER_BYTES:
            self._fail(httpx.RemoteProtocolError(f"headers are longer than {_MAX_HEADER_BYTES} bytes"))
            return
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self.until_close = False
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.status = self.parser.get_status_code()
        self.head_complete = self.status >= 200

    def on_body(self, body: bytes) -> None:
        self.chunks.append(body)
        self.buffered += len(body)
        if self.buffered > _HIGH_WATER and self.transport is not None:
            self.transport.pause_reading()

    def on_message_complete(self) -> None:
        self.complete = self.head_complete

    # for the transport below
    def _fail(self, exc: Exception) -> None:
        self.lost = self.lost or exc
        if self.transport is not None:
            self.transport.abort()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self, timeout: float | None) -> None:
        """Returns when something arrived; raises httpx.ReadTimeout after `timeout` seconds."""
        loop = asyncio.get_running_loop()
        self._waiter = waiter = loop.create_future()
        timer = None if timeout is None else loop.call_later(timeout, self._time_out, waiter, timeout)
        try:
            await waiter
        finally:
            if timer is not None:
                timer.cancel()

    @staticmethod
    def _time_out(waiter: asyncio.Future[None], timeout: float) -> None:
        if not waiter.done():
            waiter.set_exception(httpx.ReadTimeout(f"nothing arrived for {timeout:g} seconds"))

    def take(self) -> bytes:
        """All that has arrived, as one block."""
        if len(self.chunks) == 1:
            block = self.chunks.popleft()
        else:
            block = b"".join(self.chunks)
            self.chunks.clear()
        if self.buffered > _HIGH_WATER and self.transport is not None and not self.closed:
            self.transport.resume_reading()
        self.buffered = 0
        return block

    def close(self) -> None:
        """Closes the connection now, whatever is still under way."""
        if self.transport is not None and not self.closed:
            self.transport.abort()


class _Body(httpx.AsyncByteStream):
    """The response body; every block that arrived together comes out together."""

    def __init__(self, exchange: _Exchange, timeout: float | None) -> None:
        self._exchange = exchange
        self._timeout = timeout

    async def __aiter__(self) -> AsyncIterator[bytes]:
        exchange = self._exchange
        while True:
            if exchange.chunks:
                yield exchange.take()
            elif exchange.lost is not None:
                raise exchange.lost
            elif exchange.complete:
                return
            else:
                await exchange.wait(self._timeout)

    async def aclose(self) -> None:
        self._exchange.close()


class DirectTransport(httpx.AsyncBaseTransport):
    """One connection per request. Takes `connect` and `read` of httpx's `timeout` extension, in seconds."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends `request` and returns when the response headers are here; the body is a stream.

        Raises httpx.ConnectError, ConnectTimeout, ReadTimeout or RemoteProtocolError.
        """
        timeout = request.extensions.get("timeout", {})
        exchange = await self._connect(request.url, timeout.get("connect"))
        try:
            assert exchange.transport is not None
            exchange.transport.write(_head(request) + await request.aread())
            while not exchange.head_complete:
                if exchange.lost is not None:
                    raise exchange.lost
                await exchange.wait(timeout.get("read"))
        except BaseException:
            exchange.close()
            raise
        return httpx.Response(
            exchange.status,
            headers=exchange.headers,
            stream=_Body(exchange, timeout.get("read")),
            request=request,
        )

    async def _connect(self, url: httpx.URL, timeout: float | None) -> _Exchange:
        secure = url.scheme == "https"
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                _, exchange = await loop.create_connection(
                    _Exchange,
                    url.host,
                    url.port or (443 if secure else 80),
                    ssl=(self._tls or ssl.create_default_context()) if secure else None,
                )
        except TimeoutError:
            raise httpx.ConnectTimeout(f"no connection within {timeout} seconds") from None
        except OSError as exc:  # also ssl.SSLError and socket.gaierror
            raise httpx.ConnectError(exc.strerror or type(exc).__name__) from exc
        return exchange


def _head(request: httpx.Request) -> bytes:
    lines = [request.method.encode("ascii") + b" " + request.url.raw_path + b" HTTP/1.1"]
    lines += [name + b": " + value for name, value in request.headers.raw if name.lower() != b"connection"]
    lines.append(b"connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n"
