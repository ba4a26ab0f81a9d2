"""Stand-in for a teacher model, for the tests of ilab_train with one.

What it takes from a real one (a large model behind an OpenAI API): `/v1/completions` with a Bearer key. It
writes no language of its own: each answer is the next of the pairs it was given, in the form that ilab's
simple pipeline asks for ("question? answer"). It remembers what it was asked.
"""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Teacher(ThreadingHTTPServer):
    """The server, with what it answers."""

    daemon_threads = True

    def __init__(self, answers: list[str], api_key: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.api_key = answers, api_key
        self.prompts: list[str] = []

    @property
    def url(self) -> str:
        """The base of its API."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Teacher

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _json(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """/v1/completions."""
        teacher, body = self.server, json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers.get("Authorization") != f"Bearer {teacher.api_key}":
            self._json(401, {"error": {"message": "Invalid API key"}})
        elif self.path != "/v1/completions":
            self._json(404, {"error": {"message": "not found"}})
        else:
            text = teacher.answers[len(teacher.prompts) % len(teacher.answers)]
            teacher.prompts.append(body["prompt"])
            choice = {"index": 0, "text": text, "finish_reason": "stop", "logprobs": None}
            about = {"id": "1", "object": "text_completion", "created": 0, "model": body["model"]}
            self._json(200, {**about, "choices": [choice]})
