# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said of answers that come word by word, together, broken, or not at all."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.status.answer import Answer
from ansible_collections.private_ai.chatbot.plugins.modules.chatbot_answer_info import ask

WORDS = ["The ", '"model"\n', "stays \\o/ ", "aquí."]


def piece(**delta: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": delta}]}, ensure_ascii=False).encode() + b"\n\n"


def usage(seconds: float, first: float) -> bytes:
    told = {"completion_tokens": 4, "seconds": seconds, "first_token_seconds": first}
    return b"event: usage\ndata: " + json.dumps(told).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
SAID = [piece(reasoning_content="hm"), *(piece(content=word) for word in WORDS), usage(0.9, 0.1), DONE]


def heard(blocks: list[bytes], moments: list[float]) -> Answer:
    """An answer whose blocks came at these moments."""
    answer = Answer()
    for block, moment in zip(blocks, moments, strict=True):
        for line in block.splitlines(keepends=True):
            answer.hear(line, moment)
    return answer


@pytest.mark.parametrize(
    "moments, streamed",
    [
        ([0.1, 0.3, 0.5, 0.7, 0.9, 0.9, 0.9], True),
        ([1.2, 1.2, 1.2, 1.2, 1.2, 1.2, 1.2], False),
        # A buffer that let go once before the end.
        ([0.9, 0.9, 0.9, 0.9, 1.0, 1.0, 1.0], False),
    ],
)
def test_moments_decide(moments: list[float], streamed: bool) -> None:
    facts = heard(SAID, moments).facts()
    assert facts["streamed"] is streamed
    assert facts["answered"] and facts["answer"] == "".join(WORDS) and facts["pieces"] == 5
    assert (facts["first_token_seconds"], facts["seconds"]) == (moments[0], moments[-1])


def test_what_cannot_be_told() -> None:
    quick = [*SAID[:5], usage(0.3, 0.1), DONE]
    assert heard(quick, [0.3] * 7).facts()["streamed"] is None
    other_server = [*SAID[:5], DONE]
    assert heard(other_server, [0.3] * 6).facts()["streamed"] is None


@pytest.mark.parametrize(
    "blocks, error",
    [
        ([b'event: error\ndata: {"error":{"message":"no model"}}\n\n', DONE], "no model"),
        ([piece(content="The "), b'event: error\ndata: {"detail": 7}\n\n'], "{'detail': 7}"),
        (SAID[:3], "it broke off before its end"),
        ([piece(reasoning_content="hm"), usage(0.9, 0.1), DONE], "it ended without a word"),
    ],
)
def test_no_answer_says_why(blocks: list[bytes], error: str) -> None:
    facts = heard(blocks, [0.1] * len(blocks)).facts()
    assert not facts["answered"] and facts["error"] == error


def test_comments_belong_to_no_event() -> None:
    answer = heard([b"event: usage\n: heartbeat\n", usage(0.9, 0.1)], [0.1, 0.2])
    assert answer.streamed() is None and not answer.moments


@pytest.mark.parametrize("line", [b"data: 7\n", b"data: <html>\n"])
def test_something_else_than_an_answer(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"expected|Expecting"):
        Answer().hear(line, 0.1)


Serve = Callable[[Callable[[http.server.BaseHTTPRequestHandler], None]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server that answers so; returns its address."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.path == "/chat/v1/chat/completions" and asked["stream"]
                assert self.headers["X-Chatbot-Events"] == "1"
                answer(self)

            def log_message(self, *args: Any) -> None:
                pass

        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/chat/"

    yield start
    for one in servers:
        one.shutdown()
        one.server_close()


def asked(url: str, timeout: int = 30) -> dict[str, Any]:
    params = {"url": url, "question": "What?", "timeout": timeout, "validate_certs": True}
    return ask(params).facts()


@pytest.mark.parametrize("kept_back", [False, True])
def test_a_real_connection(serve: Serve, kept_back: bool) -> None:
    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        for block in SAID:
            time.sleep(0.15)
            if not kept_back:
                request.wfile.write(block)
        request.wfile.write(b"".join(SAID) if kept_back else b"")

    facts = asked(serve(answer))
    assert facts["answered"] and facts["streamed"] is not kept_back


def test_refused_and_silent(serve: Serve) -> None:
    def refuse(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_error(503, explain="no model")

    facts = asked(serve(refuse))
    assert not facts["answered"] and "503" in facts["error"] and "no model" in facts["error"]

    def dawdle(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        with contextlib.suppress(BrokenPipeError):
            for block in SAID:
                time.sleep(0.4)
                request.wfile.write(block)

    assert asked(serve(dawdle), timeout=1)["error"] == "it did not end within timeout (1 s)"
    assert "refused" in asked("http://127.0.0.1:9/")["error"]
