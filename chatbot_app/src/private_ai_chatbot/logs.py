"""Logs: one JSON object per line, without prompts, keys or full addresses."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, TextIO


class JsonFormatter(logging.Formatter):
    """A record as one JSON object; `extra={"fields": {...}}` is merged in."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry.update(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[1] is not None:
            entry["exception"] = describe(record.exc_info[1])
        return json.dumps(entry, ensure_ascii=False, separators=(",", ":"))


def describe(exc: BaseException) -> str:
    """Type and place of an exception, never its text: that may quote what a visitor wrote."""
    frames = traceback.extract_tb(exc.__traceback__)[-4:]
    places = " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames))
    return f"{type(exc).__name__} at {places}"


def configure(level: str, stream: TextIO | None = None) -> None:
    """Sends everything to `stream` (standard output) as JSON."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("private_ai_chatbot").setLevel(level.upper())
