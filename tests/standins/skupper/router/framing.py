"""Frames on a link: four bytes of length, one of kind, four that name the stream, then the content."""

from __future__ import annotations

import asyncio
import json
import struct
from enum import IntEnum
from typing import Any

HEAD = struct.Struct(">IBI")
LARGEST = 1 << 20
PIECE = 1 << 16
# What a sender may have on the way before the receiver has taken it.
WINDOW = 1 << 18


class Kind(IntEnum):
    """What a frame is; OPEN names router and routing key, END is the end of one direction."""

    HELLO = 1
    RECORDS = 2
    PING = 3
    OPEN = 4
    DATA = 5
    TAKEN = 6
    END = 7
    BROKEN = 8


Frame = tuple[Kind, int, bytes]


class Garbled(Exception):
    """What came is no frame."""


def pack(kind: Kind, stream: int = 0, content: bytes = b"") -> bytes:
    """The bytes of a frame."""
    return HEAD.pack(len(content), kind, stream) + content


def packed(kind: Kind, stream: int, value: Any) -> bytes:
    """A frame that holds JSON."""
    return pack(kind, stream, json.dumps(value, separators=(",", ":")).encode())


async def read(reader: asyncio.StreamReader) -> Frame:
    """The next frame; EOFError at the end, Garbled for what is none."""
    length, kind, stream = HEAD.unpack(await reader.readexactly(HEAD.size))
    if length > LARGEST or kind not in iter(Kind):
        raise Garbled(f"a frame of kind {kind} and {length} bytes")
    return Kind(kind), stream, await reader.readexactly(length)
