"""A link with another router: who is there, what it knows, and the streams that share the connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any, Protocol

from .framing import WINDOW, Garbled, Kind, pack, packed, read

if TYPE_CHECKING:
    from .router import Router

BEAT = 1.0
# Twice what Skupper configures: a busy test machine is late more often than a link is silently gone.
SILENCE = 6.0


class End(Protocol):
    """What takes the frames of a stream."""

    def frame(self, kind: Kind, content: bytes) -> None:
        """A frame has come."""


class Channel:
    """This router's end of a stream."""

    def __init__(self, link: Link, stream: int) -> None:
        self.link = link
        self.stream = stream
        self.broken = asyncio.Event()
        self._credit = WINDOW
        self._may_send = asyncio.Event()
        self._may_send.set()
        self._came: asyncio.Queue[bytes] = asyncio.Queue()

    def frame(self, kind: Kind, content: bytes) -> None:
        """A frame has come."""
        if kind is Kind.DATA:
            self._came.put_nowait(content)
        elif kind is Kind.TAKEN:
            self._credit += int.from_bytes(content, "big")
            self._may_send.set()
        elif kind is Kind.END:
            self._came.put_nowait(b"")
        elif kind is Kind.BROKEN:
            self.broken.set()
            self._came.put_nowait(b"")
            self._may_send.set()

    async def send(self, data: bytes) -> None:
        """Send, as soon as the other end has taken enough; into the void when it is gone."""
        while self._credit <= 0 and not self.broken.is_set():
            self._may_send.clear()
            await self._may_send.wait()
        if not self.broken.is_set():
            self._credit -= len(data)
            self.link.send(pack(Kind.DATA, self.stream, data))

    async def receive(self) -> bytes:
        """What has come; nothing is the end."""
        return await self._came.get()

    def taken(self, length: int) -> None:
        """Tell the other end that it may send as much again."""
        self.link.send(pack(Kind.TAKEN, self.stream, length.to_bytes(4, "big")))

    def end(self) -> None:
        """Nothing more will be sent."""
        if not self.broken.is_set():
            self.link.send(pack(Kind.END, self.stream))

    def close(self, in_order: bool) -> None:
        """Forget the stream; the other end is told, unless both have ended in order."""
        if not in_order and not self.broken.is_set():
            self.link.send(pack(Kind.BROKEN, self.stream))
        self.link.ends.pop(self.stream, None)


class Relay:
    """Passes on the frames of a stream of `link` as the partner's stream of the partner's link."""

    def __init__(self, link: Link, stream: int) -> None:
        self.link = link
        self.stream = stream
        self.ended = False
        self.partner: Relay | None = None
        link.ends[stream] = self

    def join(self, partner: Relay) -> None:
        """Make the two directions one stream."""
        self.partner, partner.partner = partner, self

    def frame(self, kind: Kind, content: bytes) -> None:
        """A frame has come from our link."""
        partner = self.partner
        if partner is None:
            return
        partner.link.send(pack(kind, partner.stream, content))
        self.ended = self.ended or kind is Kind.END
        if kind is Kind.BROKEN or (self.ended and partner.ended):
            for one in (self, partner):
                one.link.ends.pop(one.stream, None)


class Link:
    """One connection; `name` is that of our connector, empty when the other side has dialled."""

    def __init__(
        self, router: Router, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, role: str, name: str
    ) -> None:
        self.router = router
        self.reader = reader
        self.writer = writer
        self.role = role
        self.name = name
        self.cost = 1
        self.peer = ""
        self.ends: dict[int, End] = {}
        # Each side counts its own streams.
        self._next = 1 if name else 2
        self._heard = time.monotonic()

    def send(self, frame: bytes) -> None:
        """Send a frame at once."""
        if not self.writer.is_closing():
            self.writer.write(frame)

    def new_stream(self) -> int:
        """A number for a stream."""
        stream, self._next = self._next, self._next + 2
        return stream

    def open(self, router: str, key: str) -> Channel:
        """A new stream to a connector of a routing key at another router."""
        channel = Channel(self, self.new_stream())
        self.ends[channel.stream] = channel
        self.send(packed(Kind.OPEN, channel.stream, {"router": router, "key": key}))
        return channel

    async def run(self, cost: int) -> None:
        """Until it is cut; what was open on it ends then."""
        self.send(packed(Kind.HELLO, 0, {"router": self.router.identity, "role": self.role, "cost": cost}))
        beating = asyncio.create_task(self._beat())
        try:
            await self._greet(cost)
            while True:
                kind, stream, content = await read(self.reader)
                self._heard = time.monotonic()
                self._take(kind, stream, content)
        except (EOFError, OSError, Garbled, ValueError, KeyError):
            return
        finally:
            beating.cancel()
            self.writer.close()
            self.router.lost(self)
            for end in list(self.ends.values()):
                end.frame(Kind.BROKEN, b"")

    async def _greet(self, cost: int) -> None:
        kind, _stream, content = await read(self.reader)
        hello = json.loads(content)
        if kind is not Kind.HELLO or hello["role"] != self.role or hello["router"] == self.router.identity:
            raise Garbled("another router of the same role must greet first")
        self.peer, self.cost = hello["router"], max(cost, hello["cost"])
        self.router.joined(self)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            if time.monotonic() - self._heard > SILENCE:
                self.writer.transport.abort()
                return
            self.send(pack(Kind.PING))
            with contextlib.suppress(OSError):
                await self.writer.drain()

    def _take(self, kind: Kind, stream: int, content: bytes) -> None:
        if kind is Kind.RECORDS:
            self.router.learn(json.loads(content), self)
        elif kind is Kind.OPEN:
            self._opened(stream, json.loads(content))
        elif stream in self.ends:
            end = self.ends[stream]
            if kind is Kind.BROKEN:
                del self.ends[stream]
            end.frame(kind, content)

    def _opened(self, stream: int, wanted: dict[str, Any]) -> None:
        if wanted["router"] == self.router.identity:
            channel = Channel(self, stream)
            self.ends[stream] = channel
            self.router.serve(channel, wanted["key"])
            return
        onward = self.router.link_towards(wanted["router"])
        if onward is None or onward is self:
            self.send(pack(Kind.BROKEN, stream))
            return
        relay = Relay(onward, onward.new_stream())
        Relay(self, stream).join(relay)
        onward.send(packed(Kind.OPEN, relay.stream, wanted))
