"""How many open streams and events a second one process of the chatbot carries.

    python tests/bench/bench_streams.py [--streams 500] [--rate 20] [--seconds 30] [--plain]

Starts the chatbot and both ends for it: a source that stands in for the model (chunks as llama-cpp-python
writes them, `--rate` a second for each stream) and readers that take the answers. Printed are figures that
hardly depend on other work of the machine (the chatbot's processor seconds for each event, its largest
memory) and, for an idle machine, how much arrived and how evenly. `busy` 1 is the ceiling: one core is full.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.ports import free_port

REQUEST_END = b"\r\n\r\n"
HEADERS = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nconnection: close\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def framed(payload: bytes) -> bytes:
    """One HTTP chunk."""
    return b"%x\r\n%s\r\n" % (len(payload), payload)


def event(delta: dict[str, str], finish: str | None = None) -> bytes:
    """One event as llama-cpp-python's server writes it, in a chunk of its own."""
    head = {"id": "chatcmpl-9f6b1d7e-3a57-4d0e-a9c4-1c2f1a0e7d55", "object": "chat.completion.chunk"}
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    body = {**head, "created": 1760000000, "model": "bench", "choices": [choice]}
    return framed(b"data: " + json.dumps(body).encode() + b"\n\n")


class Source(asyncio.Protocol):
    """The model's end: answers any request with a stream that the pacer below feeds."""

    streams: set[Source] = set()  # noqa: RUF012 - shared by all connections on purpose

    def __init__(self) -> None:
        self.head = b""
        self.sent = 0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Begin once the head is there; the body of the question does not matter here."""
        self.head += data
        if REQUEST_END in self.head and self not in self.streams and self.transport:
            if self.head.startswith(b"GET"):
                status = b'{"queued": 0, "active": 1, "up": 1, "limit": 2000}'
                self.transport.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
                    % (len(status), status)
                )
                self.transport.close()
                return
            self.transport.write(HEADERS + event({"role": "assistant"}) + event({"content": "<think>\n"}))
            self.streams.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """A caller that left needs no more."""
        self.streams.discard(self)


async def source(port: int, rate: float) -> None:
    """Serve for ever; each stream gets its events at its own moment of the interval."""
    await asyncio.get_running_loop().create_server(Source, "127.0.0.1", port, backlog=4096)
    interval, slices, word = 1 / rate, 10, event({"content": " word"})
    close = event({"content": "\n</think>\n\n"})
    start, tick = time.monotonic(), 0
    while True:
        for number, one in enumerate(list(Source.streams)):
            if number % slices == tick % slices and one.transport:
                one.transport.write(close if one.sent == 10 else word)
                one.sent += 1
        tick += 1
        await asyncio.sleep(max(0.0, start + tick * interval / slices - time.monotonic()))


@dataclass
class Seen:
    """What the readers got."""

    streams: int = 0
    events: int = 0
    gaps: list[float] = field(default_factory=list)


class Reader(asyncio.Protocol):
    """The visitor's end: counts events and the time between them."""

    def __init__(self, request: bytes, seen: Seen, sample: bool) -> None:
        self.request, self.seen, self.sample, self.last = request, seen, sample, 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Count; times of every tenth stream only, the reader must not be the brake."""
        if not self.last:
            self.seen.streams += data.startswith(b"HTTP/1.1 200")
        self.seen.events += data.count(b"content")
        if self.sample:
            now = time.monotonic()
            if self.last:
                self.seen.gaps.append(now - self.last)
            self.last = now
        else:
            self.last = 1.0


def usage(pid: int) -> tuple[float, int]:
    """(processor seconds, largest memory in MB) of a process so far."""
    parts = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return (int(parts[11]) + int(parts[12])) / TICKS_PER_SECOND, int(peak.split()[1]) // 1024


async def measure(options: argparse.Namespace, app: int, port: int) -> dict[str, float]:
    """Open the streams, wait until all run, measure for `seconds`."""
    body = json.dumps({"messages": [{"role": "user", "content": "Hello"}], "stream": True}).encode()
    extra = b"" if options.plain else b"x-chatbot-events: 1\r\n"
    request = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n%s"
        b"content-length: %d\r\n\r\n%s" % (extra, len(body), body)
    )
    seen, loop = Seen(), asyncio.get_running_loop()
    idle = usage(app)[1]
    for number in range(options.streams):
        await loop.create_connection(
            functools.partial(Reader, request, seen, number % 10 == 0), "127.0.0.1", port
        )
        await asyncio.sleep(0.004)
    await asyncio.sleep(3)
    assert seen.streams == options.streams, f"{seen.streams} of {options.streams} streams are open"
    seen.gaps.clear()
    events, began, spent = seen.events, time.monotonic(), usage(app)[0]
    await asyncio.sleep(options.seconds)
    seconds, events = time.monotonic() - began, seen.events - events
    spent, peak = usage(app)[0] - spent, usage(app)[1]
    gaps = statistics.quantiles(seen.gaps, n=100)
    return {
        "streams": options.streams,
        "events_per_second": round(events / seconds),
        "wanted_per_second": round(options.streams * options.rate),
        "busy": round(spent / seconds, 3),
        "microseconds_per_event": round(1e6 * spent / events, 1),
        "memory_mb": peak,
        "kb_per_stream": round((peak - idle) * 1024 / options.streams, 1),
        "gap_ms_p50": round(1000 * gaps[49], 1),
        "gap_ms_p99": round(1000 * gaps[98], 1),
    }


async def until_open(port: int) -> None:
    """Wait for a listener."""
    for _ in range(200):
        with contextlib.suppress(OSError):
            (await asyncio.open_connection("127.0.0.1", port))[1].close()
            return
        await asyncio.sleep(0.1)
    raise TimeoutError(f"nothing listens on port {port}")


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--rate", type=float, default=20.0, help="events a second of each stream")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--plain", action="store_true", help="as an API client, not as the page")
    parser.add_argument("--source-on", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.source_on:
        asyncio.run(source(options.source_on, options.rate))
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4 * options.streams)), hard))
    upstream, page, metrics = free_port(), free_port(), free_port()
    application = Path(__file__).resolve().parents[2] / "chatbot_app/src"
    environment = {**os.environ, "PYTHONPATH": str(application), "ADDRESS": f"http://127.0.0.1:{upstream}"}
    environment |= {"PORT": str(page), "METRICS_PORT": str(metrics), "HOST": "127.0.0.1"}
    environment |= {"MAX_OPEN_PER_VISITOR": "10000", "RATE_LIMIT_PER_MINUTE": "0", "LOG_LEVEL": "warning"}
    command = [sys.executable, __file__, "--rate", str(options.rate), "--source-on", str(upstream)]
    with (
        subprocess.Popen(command) as model,
        subprocess.Popen([sys.executable, "-m", "private_ai_chatbot"], env=environment) as app,
    ):
        try:

            async def run() -> dict[str, float]:
                await until_open(upstream)
                await until_open(page)
                return await measure(options, app.pid, page)

            print(json.dumps(asyncio.run(run()), indent=2))
        finally:
            app.kill()
            model.kill()


if __name__ == "__main__":
    main()
