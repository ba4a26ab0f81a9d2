"""What the tests share: a stand-in for gateway and model in the test's loop, and the application."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn

from private_ai_chatbot.app import create_app
from private_ai_chatbot.config import Settings
from private_ai_chatbot.endpoints import Service
from private_ai_chatbot.server import make_server

PATIENCE = 20.0  # seconds until a condition that does not come true fails the test; nothing is measured by it
PAGE = {"X-Chatbot-Events": "1"}
_ANY = random.SystemRandom()


async def until(condition: Callable[[], object]) -> None:
    """Waits for `condition`."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  conditions of many kinds
            await asyncio.sleep(0.01)


def chunk(content: str | None, finish: str | None = None, **more: Any) -> bytes:
    """One event of the model, with the line ends that `ilab` sends."""
    delta = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    value = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 7,
        "model": "m",
        "choices": [choice],
    }
    return b"data: " + json.dumps({**value, **more}).encode() + b"\r\n\r\n"


@dataclass
class Answer:
    """A scripted answer. `raw` replaces the stream; `hold` keeps it open after the last token."""

    tokens: tuple[str, ...] = ("Hello", " world")
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    close: bool = False  # the connection, without a word
    cut: bool = False  # the connection, after the tokens and before [DONE]
    hold_first: bool = False  # until `go` is set
    hold_last: bool = False


class FakeGateway:
    """Stands in for gateway and model: `slots` answers at once, the rest waits, first in first out."""

    def __init__(self, slots: int = 100) -> None:
        self.answer = Answer()
        self.script: list[Answer] = []  # used up before `answer`
        self.slots = slots
        self.go = asyncio.Event()
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.queue: list[object] = []
        self.active = 0
        self.most_active = 0
        self.finished = 0
        self.left = 0  # while streaming or reading
        self.left_queue = 0
        self.status: bytes | None = None  # replaces the real one
        self.status_code = 200
        self.port = 0

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            path = head[0].split(" ")[1]
            self.paths.append(path)
            if path == "/gateway/status":
                numbers = {"queued": len(self.queue), "active": self.active, "up": self.slots, "limit": 100}
                await self._plain(writer, self.status_code, {}, self.status or json.dumps(numbers).encode())
            else:
                self.requests.append(json.loads(body))
                self.headers.append(headers)
                await self._chat(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    @staticmethod
    async def _plain(writer: asyncio.StreamWriter, status: int, headers: dict[str, str], body: bytes) -> None:
        lines = [
            f"HTTP/1.1 {status} X",
            f"content-length: {len(body)}",
            *(f"{k}: {v}" for k, v in headers.items()),
        ]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()

    async def _chat(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = self.script.pop(0) if self.script else self.answer
        if answer.close:
            return
        if answer.status != 200 or answer.body:
            await self._plain(writer, answer.status, answer.headers, answer.body)
            return
        eof = asyncio.ensure_future(reader.read(1))
        place = object()
        self.queue.append(place)
        try:
            while self.queue[0] is not place or self.active >= self.slots:
                await asyncio.sleep(0.005)
                if eof.done():
                    self.left_queue += 1
                    return
        finally:
            self.queue.remove(place)
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        try:
            stream = asyncio.ensure_future(self._stream(writer, answer))
            await asyncio.wait((stream, eof), return_when=asyncio.FIRST_COMPLETED)
            if stream.done():
                self.left += stream.exception() is not None
                self.finished += stream.exception() is None
            else:
                stream.cancel()
                self.left += 1
        finally:
            self.active -= 1
            eof.cancel()

    async def _stream(self, writer: asyncio.StreamWriter, answer: Answer) -> None:
        if answer.hold_first:
            await self.go.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n")
        writer.write(b"transfer-encoding: chunked\r\n\r\n")
        for token in answer.tokens:
            self._write(writer, chunk(token))
            await writer.drain()
            await asyncio.sleep(0)
        if answer.hold_last:
            await self.go.wait()
        if answer.cut:
            return
        self._write(writer, chunk(None, "stop"))
        self._write(writer, b"data: [DONE]\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)  # the end comes by itself, as from a server behind a gateway
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    @staticmethod
    def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(b"%x\r\n%b\r\n" % (len(data), data))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[FakeGateway]:
        """Listens on a free port."""
        server = await asyncio.start_server(self._handle, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            self.go.set()
            server.close()


@dataclass
class Running:
    """The application on a real port."""

    service: Service
    server: uvicorn.Server
    port: int
    client: httpx.AsyncClient

    def ask(self, text: str = "hi", *, page: bool = False, stream: bool = True, **more: Any) -> httpx.Request:
        """A request for `client.send(…, stream=True)`."""
        headers = {**(PAGE if page else {}), **more.pop("headers", {})}
        body = {"messages": [{"role": "user", "content": text}], "stream": stream, **more}
        return self.client.build_request("POST", "/v1/chat/completions", json=body, headers=headers)

    async def answer(self, *args: Any, **more: Any) -> httpx.Response:
        """Asks and reads everything."""
        return await self.client.send(self.ask(*args, **more))


@contextlib.asynccontextmanager
async def running(gateway: FakeGateway | None, **settings: Any) -> AsyncIterator[Running]:
    """The application in front of `gateway` (or of nothing)."""
    port = gateway.port if gateway else closed_port()
    values = {"rate_limit_per_minute": 0, "queue_poll_seconds": 0.1, **settings}
    values.setdefault("address", f"http://127.0.0.1:{port}")
    service = Service(Settings(**values))
    server = make_server(create_app(service), service.settings)
    sock = socket.create_server(("127.0.0.1", 0))
    task = asyncio.create_task(server.serve([sock]))
    await until(lambda: server.started)
    base = f"http://127.0.0.1:{sock.getsockname()[1]}"
    async with httpx.AsyncClient(base_url=base, timeout=PATIENCE, trust_env=False) as client:
        try:
            yield Running(service, server, sock.getsockname()[1], client)
        finally:
            # Not by `should_exit`, which takes uvicorn a third of a second; test_server.py does it properly.
            service.stop_all()
            await client.aclose()
            for listener in server.servers:
                listener.close()
            for connection in list(server.server_state.connections):
                connection.transport.abort()
            await asyncio.gather(*server.server_state.tasks, return_exceptions=True)
            await service.aclose()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def closed_port() -> int:
    """A port on which nobody listens."""
    return closed_ports(1)[0]


def closed_ports(count: int) -> list[int]:
    """Different ports on which nobody listens; connections that go out, which could take one, get others."""
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < count:
            port = _ANY.randint(20_000, 29_999)
            with contextlib.suppress(OSError):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
                found.append(port)
    return found


def events(text: str) -> list[tuple[str, Any]]:
    """(name, value) of each event; unnamed events have the name "", comments are `(":", text)`."""
    found: list[tuple[str, Any]] = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        if not block.strip():
            continue
        if block.startswith(":"):
            found.append((":", block[1:].strip()))
            continue
        lines = dict(line.split(": ", 1) for line in block.split("\n"))
        data = lines["data"]
        found.append((lines.get("event", ""), data if data == "[DONE]" else json.loads(data)))
    return found


def texts(found: list[tuple[str, Any]]) -> tuple[str, str]:
    """(thinking, answer) as the page would show them at the end."""
    thinking = answer = ""
    for name, value in found:
        if name == "reclassify":
            thinking, answer = thinking + answer, ""
        elif name == "" and value != "[DONE]" and "choices" in value:
            delta = value["choices"][0]["delta"]
            thinking += delta.get("reasoning_content", "")
            answer += delta.get("content", "")
    return thinking, answer
