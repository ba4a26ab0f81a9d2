# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""As much of AMQP 1.0 as one question to a router needs.

The libraries for it are compiled, and a host that only runs a router has none of them.
"""

from __future__ import annotations

import struct
import typing as t

#: Performatives and sections by their descriptors.
OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DETACH, END, CLOSE = 0x10, 0x11, 0x12, 0x13, 0x14, 0x16, 0x17, 0x18
SOURCE, TARGET = 0x28, 0x29
MECHANISMS, INIT, OUTCOME = 0x40, 0x41, 0x44
PROPERTIES, APPLICATION_PROPERTIES, VALUE = 0x73, 0x74, 0x77
AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
SASL_HEADER = b"AMQP\x03\x01\x00\x00"
#: Frames of a conversation about connections are far smaller.
MAX_FRAME = 1 << 16
_HEAD = struct.Struct(">IBBH")

#: Numbers by their code: of fixed width, as `struct` names them.
_NUMBERS = {
    0x50: "B",
    0x51: "b",
    0x52: "B",
    0x53: "B",
    0x54: "b",
    0x55: "b",
    0x60: "H",
    0x61: "h",
    0x70: "I",
    0x71: "i",
    0x72: "f",
    0x73: "I",
    0x80: "Q",
    0x81: "q",
    0x82: "d",
    0x83: "q",
    0x98: "16s",
}
_CONSTANTS: dict[int, t.Any] = {0x40: None, 0x41: True, 0x42: False, 0x43: 0, 0x44: 0, 0x45: []}


class Malformed(ValueError):
    """What came is no AMQP, or more of it than is known here."""


class Symbol(str):
    """A word of AMQP's own."""


class UInt(int):
    """A number of 32 bits; other numbers have 8."""


class Described(t.NamedTuple):
    """A value with the number of what it is."""

    descriptor: int
    value: t.Any


def encode(value: t.Any) -> bytes:
    """Return a value as AMQP."""
    if value is None:
        return b"\x40"
    if isinstance(value, bool):
        return b"\x41" if value else b"\x42"
    if isinstance(value, Described):
        return b"\x00\x53" + bytes([value.descriptor]) + encode(value.value)
    if isinstance(value, UInt):
        return b"\x70" + struct.pack(">I", value)
    if isinstance(value, int):
        return b"\x50" + struct.pack(">B", value)
    if isinstance(value, (str, bytes)):
        data = value if isinstance(value, bytes) else value.encode()
        code = 0xB0 if isinstance(value, bytes) else 0xB3 if isinstance(value, Symbol) else 0xB1
        return struct.pack(">BI", code, len(data)) + data
    if isinstance(value, dict):
        return _compound(0xD1, [part for pair in value.items() for part in pair])
    return _compound(0xD0, value)


def _compound(code: int, values: t.Sequence[t.Any]) -> bytes:
    body = b"".join(map(encode, values))
    return struct.pack(">BII", code, len(body) + 4, len(values)) + body


class Reader:
    """Takes values from the front of what came."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def more(self) -> bool:
        """Return whether something is left."""
        return self.at < len(self.data)

    def _take(self, length: int) -> bytes:
        found = self.data[self.at : self.at + length]
        if len(found) < length:
            raise Malformed("a value ends before its end")
        self.at += length
        return found

    def _number(self, kind: str) -> t.Any:
        return struct.unpack(">" + kind, self._take(struct.calcsize(kind)))[0]

    def value(self) -> t.Any:
        """Return the next value."""
        code = self._number("B")
        if code == 0:
            return Described(int(self.value()), self.value())
        return self._of(code)

    def _of(self, code: int) -> t.Any:
        if code in _CONSTANTS:
            return _CONSTANTS[code]
        if code == 0x56:
            return bool(self._number("B"))
        if code in _NUMBERS:
            return self._number(_NUMBERS[code])
        width, family = ("I" if code & 0x10 else "B"), code & 0xEF
        if family in (0xA0, 0xA1, 0xA3):
            data = self._take(self._number(width))
            return data if family == 0xA0 else data.decode()
        if family in (0xC0, 0xC1, 0xE0):
            return self._compound(family, width)
        raise Malformed(f"0x{code:02x} is no type that is known here")

    def _compound(self, family: int, width: str) -> t.Any:
        inner = Reader(self._take(self._number(width)))
        count = inner._number(width)
        if family == 0xE0:
            code = inner._number("B")
            return [inner._of(code) for _each in range(count)]
        values = [inner.value() for _each in range(count)]
        return values if family == 0xC0 else dict(zip(values[::2], values[1::2]))


def frame(performative: Described, payload: bytes = b"", sasl: bool = False) -> bytes:
    """Return a frame of channel 0."""
    body = encode(performative) + payload
    return _HEAD.pack(_HEAD.size + len(body), 2, int(sasl), 0) + body


def read_frame(read: t.Callable[[int], bytes]) -> tuple[Described | None, bytes]:
    """Return what the next frame says and what follows in it; None for one that only shows life.

    :param read: gives exactly so many bytes.
    """
    size, offset, _kind, _channel = _HEAD.unpack(read(_HEAD.size))
    if not _HEAD.size <= 4 * offset <= size <= MAX_FRAME:
        raise Malformed(f"a frame says that it has {size} bytes from {4 * offset}")
    body = read(size - _HEAD.size)[4 * offset - _HEAD.size :]
    if not body:
        return None, b""
    reader = Reader(body)
    found = reader.value()
    if not isinstance(found, Described):
        raise Malformed("a frame has nothing that says what it is")
    return found, body[reader.at :]


def sections(payload: bytes) -> dict[int, t.Any]:
    """Return the parts of a message by their descriptors."""
    reader, found = Reader(payload), {}
    while reader.more():
        part = reader.value()
        found[part.descriptor] = part.value
    return found


def field(values: t.Any, index: int) -> t.Any:
    """Return a field of a list, whose last ones may be left out."""
    return values[index] if isinstance(values, list) and index < len(values) else None
