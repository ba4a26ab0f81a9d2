"""What a visitor may ask of the model: requests are rebuilt from an allow-list, never passed on."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from .config import Settings
from .errors import ApiError, invalid, too_large

ROLES = ("system", "developer", "user", "assistant")
# Fields that would change what comes back; ignoring them silently would be a lie.
_REFUSED = (
    "tools",
    "functions",
    "response_format",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "audio",
    "modalities",
)


@dataclass(frozen=True, slots=True)
class Ask:
    """A checked question: the body for the model, and whether the visitor wants a stream."""

    body: bytes
    stream: bool


def parse_json(raw: bytes) -> dict[str, Any]:
    """The JSON object in `raw`. Raises ApiError 400."""
    try:
        value = json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise invalid(
            "The body is not valid JSON: send one JSON object in UTF-8.", code="invalid_json"
        ) from None
    if not isinstance(value, dict):
        raise invalid('The body is not a JSON object: send {"messages": [...]}.', code="invalid_json")
    return value


def build_chat(data: dict[str, Any], settings: Settings) -> Ask:
    """Checks a `/v1/chat/completions` body and rebuilds it. Raises ApiError 400 or 413."""
    for name in _REFUSED:
        if data.get(name):
            raise invalid(
                f"{name} is not supported by this server: leave it out.", name, "unsupported_parameter"
            )
    if data.get("n") not in (None, 1):
        raise invalid("n must be 1: this server gives one answer for each request.", "n")
    stream = data.get("stream")
    if stream not in (None, True, False):
        raise invalid("stream must be true or false.", "stream")
    body: dict[str, Any] = {
        "model": settings.model_name,
        "messages": _messages(data.get("messages"), settings),
        "temperature": _number(data, "temperature", 0, 2, settings.temperature),
        "top_p": _number(data, "top_p", 0, 1, settings.top_p),
        "max_tokens": _max_tokens(data, settings),
        "stream": True,  # always: only a streamed answer can be cancelled inside the model server
    }
    for name in ("frequency_penalty", "presence_penalty"):
        value = _number(data, name, -2, 2, None)
        if value is not None:
            body[name] = value
    if (seed := _whole(data, "seed", -(2**31), 2**32 - 1)) is not None:
        body["seed"] = seed
    if stop := _stop(data.get("stop")):
        body["stop"] = stop
    return Ask(_encode(body), bool(stream))


def build_question(data: dict[str, Any], settings: Settings) -> Ask:
    """Checks the published application's `{"question": ...}` body. Raises ApiError 400 or 413."""
    question = data.get("question")
    if not isinstance(question, str) or not question.strip():
        raise invalid('question is empty: send {"question": "..."}.', "question")
    return build_chat({"messages": [{"role": "user", "content": question}]}, settings)


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _encode(body: dict[str, Any]) -> bytes:
    # A lone surrogate ("\ud800" in JSON) is no text and cannot be UTF-8.
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _messages(value: Any, settings: Settings) -> list[dict[str, str]]:
    if not isinstance(value, list) or not value:
        raise invalid("messages must be a list with at least one message.", "messages")
    if len(value) > settings.max_messages:
        raise too_large(
            f"The conversation has {len(value)} messages; at most {settings.max_messages} are allowed. "
            "Start a new conversation or leave out older messages.",
            "messages",
            "too_many_messages",
        )
    messages = [_message(item, f"messages[{index}]", settings) for index, item in enumerate(value)]
    system = [settings.system_prompt] if settings.system_prompt else []
    while messages and messages[0]["role"] == "system":
        system.append(messages.pop(0)["content"])
    if any(message["role"] == "system" for message in messages):
        raise invalid("A system message must stand before all others.", "messages")
    if not messages or messages[-1]["role"] != "user" or not messages[-1]["content"].strip():
        raise invalid("The last message must have the role user and must not be empty.", "messages")
    head = [{"role": "system", "content": "\n\n".join(system)}] if system else []
    return head + messages


def _message(item: Any, where: str, settings: Settings) -> dict[str, str]:
    if not isinstance(item, dict):
        raise invalid(f"{where} must be an object with role and content.", where)
    role = item.get("role")
    if role not in ROLES:
        raise invalid(f"{where}.role must be one of {', '.join(ROLES)}.", f"{where}.role")
    text = _content(item.get("content"), where)
    if len(text) > settings.max_message_chars:
        raise too_large(
            f"{where} has {len(text)} characters, allowed are {settings.max_message_chars}: shorten it.",
            f"{where}.content",
            "message_too_long",
        )
    return {"role": "system" if role == "developer" else role, "content": text}


def _content(value: Any, where: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        texts = [
            part["text"]
            for part in value
            if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
        ]
        if value and len(texts) == len(value):
            return "\n".join(texts)
    raise invalid(
        f"{where}.content must be text: images, sound and files are not supported.", f"{where}.content"
    )


def _number(data: dict[str, Any], name: str, low: float, high: float, default: float | None) -> float | None:
    value = data.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not _within(value, low, high):
        raise invalid(f"{name} must be a number from {low:g} to {high:g}.", name)
    return value


def _within(value: float, low: float, high: float) -> bool:
    return math.isfinite(value) and low <= value <= high if isinstance(value, float) else low <= value <= high


def _whole(data: dict[str, Any], name: str, low: int, high: int) -> int | None:
    value = data.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise invalid(f"{name} must be a whole number from {low} to {high}.", name)
    return value


def _max_tokens(data: dict[str, Any], settings: Settings) -> int:
    """The visitor's wish, never above the operator's limit (larger wishes are lowered, not refused)."""
    name = "max_tokens" if data.get("max_tokens") is not None else "max_completion_tokens"
    return min(_whole(data, name, 1, 2**31) or settings.max_tokens, settings.max_tokens)


def _stop(value: Any) -> list[str]:
    if value is None:
        return []
    stops = [value] if isinstance(value, str) else value
    if (
        not isinstance(stops, list)
        or len(stops) > 4
        or not all(isinstance(stop, str) and 0 < len(stop) <= 64 for stop in stops)
    ):
        raise invalid("stop must be a text or a list of at most 4 texts of 1 to 64 characters.", "stop")
    return stops


__all__ = ["ApiError", "Ask", "build_chat", "build_question", "parse_json"]
