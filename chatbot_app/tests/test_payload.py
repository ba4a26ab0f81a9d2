from __future__ import annotations

import json
from typing import Any

import pytest

from private_ai_chatbot.config import Settings
from private_ai_chatbot.errors import ApiError
from private_ai_chatbot.payload import build_chat, build_question, parse_json

USER = {"role": "user", "content": "hi"}


def built(settings: Settings | None = None, **data: Any) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(build_chat({"messages": [USER], **data}, settings or Settings()).body)
    return value


def refused(**data: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        build_chat({"messages": [USER], **data}, Settings(max_messages=3, max_message_chars=10))
    return caught.value


def test_a_minimal_request_gets_the_operators_values() -> None:
    settings = Settings(system_prompt="Be kind.", model_name="m", temperature=0.5, top_p=0.9, max_tokens=7)
    assert built(settings) == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be kind."}, USER],
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 7,
        "stream": True,
    }


def test_only_known_fields_pass() -> None:
    body = built(
        seed=3, stop="x", presence_penalty=1, frequency_penalty=-1, user="me", grammar="g", model="other"
    )
    assert body.keys() - {"model", "messages", "temperature", "top_p", "max_tokens", "stream"} == {
        "seed",
        "stop",
        "presence_penalty",
        "frequency_penalty",
    }
    assert body["model"] == Settings().model_name
    message = built(messages=[{**USER, "name": "x", "tool_calls": []}])["messages"][0]
    assert message == USER


def test_max_tokens_is_capped() -> None:
    assert built(max_tokens=10**6)["max_tokens"] == Settings().max_tokens
    assert built(max_completion_tokens=5)["max_tokens"] == 5


def test_the_upstream_is_always_streamed() -> None:
    ask = build_chat({"messages": [USER], "stream": False}, Settings())
    assert not ask.stream
    assert json.loads(ask.body)["stream"] is True


def test_the_visitors_system_message_stands_after_the_operators() -> None:
    messages = [{"role": "developer", "content": "Short."}, USER]
    assert (
        built(Settings(system_prompt="Kind."), messages=messages)["messages"][0]["content"]
        == "Kind.\n\nShort."
    )


def test_text_parts_are_joined_and_broken_text_is_repaired() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert built(messages=[{"role": "user", "content": parts}])["messages"][0]["content"] == "a\nb"
    assert build_chat({"messages": [{"role": "user", "content": "\ud800x"}]}, Settings()).body.decode("utf-8")


@pytest.mark.parametrize(
    ("data", "status", "param"),
    [
        ({"messages": []}, 400, "messages"),
        ({"messages": "hi"}, 400, "messages"),
        ({"messages": [1]}, 400, "messages[0]"),
        ({"messages": [{"role": "tool", "content": "x"}]}, 400, "messages[0].role"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, 400, "messages[0].role"),
        ({"messages": [{"role": "user", "content": None}]}, 400, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "messages[0].content"),
        ({"messages": [{"role": "user", "content": " "}]}, 400, "messages"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, 400, "messages"),
        ({"messages": [USER, {"role": "system", "content": "x"}, USER]}, 400, "messages"),
        ({"messages": [USER] * 4}, 413, "messages"),
        ({"messages": [{"role": "user", "content": "x" * 11}]}, 413, "messages[0].content"),
        ({"temperature": 3}, 400, "temperature"),
        ({"temperature": True}, 400, "temperature"),
        ({"temperature": float("inf")}, 400, "temperature"),
        ({"top_p": "1"}, 400, "top_p"),
        ({"max_tokens": 0}, 400, "max_tokens"),
        ({"max_tokens": 1.5}, 400, "max_tokens"),
        ({"seed": 2**40}, 400, "seed"),
        ({"stop": ["a"] * 5}, 400, "stop"),
        ({"stop": [""]}, 400, "stop"),
        ({"stream": "yes"}, 400, "stream"),
        ({"n": 2}, 400, "n"),
        ({"tools": [{}]}, 400, "tools"),
        ({"logit_bias": {"1": 1}}, 400, "logit_bias"),
    ],
)
def test_wrong_requests_are_refused_by_name(data: dict[str, Any], status: int, param: str) -> None:
    error = refused(**data)
    assert (error.status, error.param) == (status, param)


def test_the_message_names_value_limit_and_remedy() -> None:
    text = refused(messages=[{"role": "user", "content": "x" * 11}]).message
    assert "11" in text
    assert "10" in text
    assert "shorten" in text


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{", b'{"a": NaN}', b"\xff", b"[" * 100000, b'{"a":' + b"9" * 5000 + b"}"]
)
def test_what_is_no_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        parse_json(raw)
    assert caught.value.status == 400


def test_the_published_question() -> None:
    assert json.loads(build_question({"question": "hi"}, Settings()).body)["messages"] == [USER]
    for data in ({}, {"question": ""}, {"question": 1}):
        with pytest.raises(ApiError):
            build_question(data, Settings())
