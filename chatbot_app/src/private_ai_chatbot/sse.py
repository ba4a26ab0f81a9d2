"""Server-sent events: reading the model's, writing ours."""

from __future__ import annotations

import json
from typing import Any

HEARTBEAT = b": heartbeat\n\n"
DONE = b"data: [DONE]\n\n"
MAX_EVENT_BYTES = 1024 * 1024


class EventReader:
    """Cuts a byte stream into the `data` of its events; comments and other fields are left out."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, block: bytes) -> list[bytes]:
        """The data of each event that `block` completes. Raises ValueError for an event above 1 MiB."""
        *lines, self._rest = (self._rest + block).split(b"\n")
        if len(self._rest) > MAX_EVENT_BYTES:
            raise ValueError(f"an event of the model is longer than {MAX_EVENT_BYTES} bytes")
        events = []
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif not line and self._data:
                events.append(b"\n".join(self._data))
                self._data = []
        return events

    def finish(self) -> list[bytes]:
        """The last event when the stream ended without its empty line."""
        return self.feed(b"\n\n")


def at_boundary(tail: bytes) -> bool:
    """Whether a stream that ends with `tail` is between two events, so that a comment may follow."""
    return not tail or tail.endswith((b"\n\n", b"\r\n\r\n"))


def to_json(value: Any) -> bytes:
    """Compact UTF-8 JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def event(name: str, value: Any) -> bytes:
    """A named event."""
    return b"event: " + name.encode("ascii") + b"\ndata: " + to_json(value) + b"\n\n"


def data(value: Any) -> bytes:
    """An unnamed event."""
    return b"data: " + to_json(value) + b"\n\n"
