"""The router's answers to management questions, as AMQP 1.0 carries them: its connections and connectors."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

OPEN, BEGIN, ATTACH, FLOW, TRANSFER, CLOSE = 0x10, 0x11, 0x12, 0x13, 0x14, 0x18
SASL = {"mechanisms": 0x40, "init": 0x41, "outcome": 0x44}
HEADERS = (b"AMQP\x03\x01\x00\x00", b"AMQP\x00\x01\x00\x00")
ADDRESS = "amqp:/_topo/0/router/temp.answers"
WIDTHS = {0x4: 0, 0x5: 1, 0x6: 2, 0x7: 4, 0x8: 8, 0x9: 16}
Described = tuple[int, Any]
#: What is known of each type, by its name without the prefix.
Entities = dict[str, list[dict[str, Any]]]


def decoded(data: bytes, at: int) -> tuple[Any, int]:
    """A value and where it ends; one that says what it is comes as a pair."""
    code, at = data[at], at + 1
    if code == 0:
        kind, at = decoded(data, at)
        value, at = decoded(data, at)
        return (kind, value), at
    family = code >> 4
    if family in WIDTHS:
        end = at + WIDTHS[family]
        known: dict[int, Any] = {0x40: None, 0x41: True, 0x42: False, 0x45: []}
        return known.get(code, int.from_bytes(data[at:end], "big")), end
    width = 4 if family & 1 else 1
    size = int.from_bytes(data[at : at + width], "big")
    at += width
    end = at + size
    if family in (0xA, 0xB):
        return data[at:end] if code & 0xF == 0 else data[at:end].decode(), end
    count, at = int.from_bytes(data[at : at + width], "big"), at + width
    values = []
    for _each in range(count):
        value, at = decoded(data, at)
        values.append(value)
    return values if code & 0xF == 0 else dict(zip(values[::2], values[1::2])), end


def encoded(value: Any) -> bytes:
    """A value in the shortest form there is for it."""
    if value is None or isinstance(value, bool):
        return {None: b"\x40", True: b"\x41", False: b"\x42"}[value]
    if isinstance(value, int):
        return b"\x43" if value == 0 else b"\x52" + bytes([value]) if value < 256 else b"\x70" + _four(value)
    if isinstance(value, bytes):
        return b"\xa0" + bytes([len(value)]) + value
    if isinstance(value, str):
        return b"\xa1" + bytes([len(value.encode())]) + value.encode()
    if isinstance(value, tuple):
        return b"\x00\x53" + bytes([value[0]]) + encoded(value[1])
    parts = [part for pair in value.items() for part in pair] if isinstance(value, dict) else value
    if not parts:
        return b"\x45"
    body = b"".join(map(encoded, parts))
    return (b"\xd1" if isinstance(value, dict) else b"\xd0") + _four(len(body) + 4) + _four(len(parts)) + body


def _four(number: int) -> bytes:
    return struct.pack(">I", number)


def frame(kind: int, fields: list[Any], payload: bytes = b"", sasl: bool = False) -> bytes:
    """A frame of channel 0."""
    body = encoded((kind, fields)) + payload
    return struct.pack(">IBBH", 8 + len(body), 2, int(sasl), 0) + body


def answer_to(payload: bytes, entities: Entities) -> bytes:
    """The message that answers one; its reply goes to who asked."""
    parts, at = {}, 0
    while at < len(payload):
        (kind, value), at = decoded(payload, at)
        parts[kind] = value
    about, names = parts[0x74], list(parts[0x77]["attributeNames"])
    found = entities.get(about["entityType"].removeprefix("io.skupper.router."))
    known = about["operation"] == "QUERY" and found is not None and parts[0x73][4] == ADDRESS
    status = {"statusCode": 200 if known else 400, "statusDescription": "OK" if known else "Bad Request"}
    rows = [[one.get(name) for name in names] for one in found or []]
    body = {"attributeNames": names, "results": rows}
    return b"".join(
        encoded(one) for one in ((0x73, [None] * 5 + [parts[0x73][5]]), (0x74, status), (0x77, body))
    )


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, entities: Entities) -> None:
    """Answer questions until the asker closes; it has shown a certificate already."""
    await _header(reader, writer, HEADERS[0])
    writer.write(frame(SASL["mechanisms"], ["EXTERNAL"], sasl=True))
    kind, _fields, _payload = await _frame(reader)
    writer.write(frame(SASL["outcome"], [0 if kind == SASL["init"] else 1], sasl=True))
    await _header(reader, writer, HEADERS[1])
    answers, sent = 0, 0
    while True:
        kind, fields, payload = await _frame(reader)
        if kind == OPEN:
            writer.write(frame(OPEN, ["standin-router"]))
        elif kind == BEGIN:
            writer.write(frame(BEGIN, [0, 0, 1000, 1000]))
        elif kind == ATTACH:
            name, handle, receives = fields[0], fields[1], fields[2]
            if receives:
                answers = handle
                writer.write(
                    frame(ATTACH, [name, handle, False, 0, 0, (0x28, [ADDRESS]), (0x29, []), None, None, 0])
                )
            else:
                writer.write(frame(ATTACH, [name, handle, True, 0, 0, fields[5], fields[6]]))
                writer.write(frame(FLOW, [0, 1000, 0, 1000, handle, 0, 250]))
        elif kind == TRANSFER:
            message = answer_to(payload, entities)
            # Long answers come in parts.
            half = len(message) // 2
            for part, more in ((message[:half], True), (message[half:], False)):
                writer.write(frame(TRANSFER, [answers, sent, b"1", 0, True, more], part))
            sent += 1
        elif kind == CLOSE:
            writer.write(frame(CLOSE, []))
            writer.close()
            return
        await writer.drain()


async def _header(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, header: bytes) -> None:
    if await reader.readexactly(len(header)) != header:
        raise ConnectionError("who asks speaks another protocol")
    writer.write(header)


async def _frame(reader: asyncio.StreamReader) -> tuple[int, list[Any], bytes]:
    size, offset, _kind, _channel = struct.unpack(">IBBH", await reader.readexactly(8))
    data = await reader.readexactly(size - 8)
    (kind, fields), end = decoded(data, 4 * offset - 8)
    return kind, fields, data[end:]
