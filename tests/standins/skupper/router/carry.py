"""A TCP connection of this host on one side, a stream or another connection on the other."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from .framing import PIECE
from .link import Channel

# How long a client whose stream was cut may go on sending before it is not listened to any more.
LINGER = 2.0


def at_once(writer: asyncio.StreamWriter) -> None:
    """Small pieces are not kept back."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def finish(writer: asyncio.StreamWriter) -> None:
    """An ordinary end of file; TLS knows none for one direction."""
    with contextlib.suppress(OSError, RuntimeError):
        if writer.can_write_eof():
            writer.write_eof()
        else:
            writer.close()


async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End a connection without a reset: what still comes is read and thrown away for a while."""
    finish(writer)
    with contextlib.suppress(OSError, asyncio.TimeoutError):
        await asyncio.wait_for(_ignore(reader), LINGER)
    writer.close()


async def _ignore(reader: asyncio.StreamReader) -> None:
    while await reader.read(PIECE):
        continue


async def _up(reader: asyncio.StreamReader, channel: Channel) -> None:
    while data := await reader.read(PIECE):
        await channel.send(data)
    channel.end()


async def _down(channel: Channel, writer: asyncio.StreamWriter) -> None:
    while data := await channel.receive():
        writer.write(data)
        await writer.drain()
        channel.taken(len(data))
    finish(writer)


async def through(channel: Channel, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry until both directions have ended, or the stream or the connection is broken."""
    at_once(writer)
    down = asyncio.create_task(_down(channel, writer))
    ways = {asyncio.create_task(_up(reader, channel)), down}
    broken = asyncio.create_task(channel.broken.wait())
    failed = False
    try:
        pending = set(ways)
        while pending and not failed and not broken.done():
            done, _waiting = await asyncio.wait({*pending, broken}, return_when=asyncio.FIRST_COMPLETED)
            pending -= done
            failed = any(one.exception() for one in done & ways)
        if broken.done() and not down.done():
            # What came before the cut still arrives.
            await asyncio.wait({down}, timeout=LINGER)
    finally:
        for task in (*ways, broken):
            task.cancel()
        await asyncio.gather(*ways, broken, return_exceptions=True)
        channel.close(in_order=not failed and not pending)
        await close(reader, writer)


async def across(
    one: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    other: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    """Carry between two connections of this host."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        at_once(writer)
        while data := await reader.read(PIECE):
            writer.write(data)
            await writer.drain()
        finish(writer)

    with contextlib.suppress(OSError):
        await asyncio.gather(copy(one[0], other[1]), copy(other[0], one[1]))
    one[1].close()
    other[1].close()
