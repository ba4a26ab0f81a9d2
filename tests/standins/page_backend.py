#!/usr/bin/env python3
"""Stand-in for the chatbot's server, for browser tests of states that a real one reaches too rarely.

Serves the real page with the real security headers, and answers ``POST /v1/chat/completions`` by a
script that the test sets with ``POST /_script`` (a JSON list of steps, used for every question until
the next script). A step is one of

    {"delta": {"content": "..."}}        one chunk of the answer (or "reasoning_content")
    {"event": "queue", "data": {...}}    one named event
    {"sleep": 0.05}                      seconds
    {"until": "go"}                      wait until the test posts /_release
    {"refuse": 429, "headers": {...}, "body": {...}}    an HTTP error instead of a stream
    {"drop": true}                       close the connection in the middle

``GET /_stats`` counts {started, finished, cancelled}; ``POST /_status`` sets what api/backend-status
answers. Only the standard library is used.
"""

from __future__ import annotations

import argparse
import json
import mimetypes
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

STATIC = Path(__file__).resolve().parents[2] / "chatbot_app" / "src" / "private_ai_chatbot" / "static"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types dompurify",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
CONFIG = {
    "title": "Private AI",
    "language": "auto",
    "model": "stand-in",
    "version": "0.0.0",
    "limits": {"max_message_chars": 500, "max_messages": 40, "max_tokens": 400},
    "system_prompt": "Answer briefly and in the language of the question.",
    "temperature": 0.6,
    "top_p": 0.95,
}


class Backend(ThreadingHTTPServer):
    """One stand-in server; `script`, `status` and `stats` are what the tests set and read."""

    daemon_threads = True

    def __init__(self, port: int = 0, prefix: str = "") -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.prefix = prefix
        self.lock = threading.Lock()
        self.release = threading.Event()
        self.script: list[dict[str, Any]] = [{"delta": {"content": "Hello."}}]
        self.status: dict[str, Any] = {"status": "online", "queued": 0, "active": 0, "up": 1, "limit": 20}
        self.stats = {"started": 0, "finished": 0, "cancelled": 0}
        self.questions: list[Any] = []

    @property
    def url(self) -> str:
        """Address of the page, with a slash at its end."""
        return f"http://127.0.0.1:{self.server_address[1]}{self.prefix}/"

    def count(self, name: str) -> None:
        """Add one to a counter."""
        with self.lock:
            self.stats[name] += 1


class Handler(BaseHTTPRequestHandler):
    """The few paths that the page uses."""

    protocol_version = "HTTP/1.1"
    server: Backend

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""

    def send_body(self, status: int, kind: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Send one complete answer with the security headers."""
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_json(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Send JSON."""
        self.send_body(status, "application/json", json.dumps(value).encode(), headers)

    def local(self) -> str:
        """The path below the prefix."""
        path = self.path.split("?", 1)[0]
        return path[len(self.server.prefix) :] if path.startswith(self.server.prefix) else "/outside"

    def do_GET(self) -> None:
        """Page, files, configuration, state."""
        path = self.local()
        if path == "/":
            self.send_body(200, "text/html; charset=utf-8", (STATIC / "index.html").read_bytes())
        elif path == "/api/config":
            self.send_json(CONFIG)
        elif path == "/api/backend-status":
            self.send_json(self.server.status)
        elif path == "/_stats":
            self.send_json({**self.server.stats, "questions": self.server.questions})
        elif path.startswith("/static/"):
            file = (STATIC / path.removeprefix("/static/")).resolve()
            if STATIC in file.parents and file.is_file():
                kind = "text/javascript" if file.suffix == ".js" else mimetypes.guess_type(file.name)[0]
                self.send_body(200, kind or "application/octet-stream", file.read_bytes())
            else:
                self.send_json({"error": {"message": "not found"}}, 404)
        else:
            self.send_json({"error": {"message": "not found"}}, 404)

    def do_POST(self) -> None:
        """Questions, and the tests' own switches."""
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))) or b"null")
        path = self.local()
        if path == "/v1/chat/completions":
            self.answer(body)
            return
        if path == "/_script":
            self.server.script = body
            self.server.release.clear()
        elif path == "/_release":
            self.server.release.set()
        elif path == "/_status":
            self.server.status = body
        self.send_json({})

    def answer(self, body: Any) -> None:
        """Play the script; a visitor who leaves is counted as cancelled."""
        script = list(self.server.script)
        self.server.questions.append(body["messages"])
        if script and "refuse" in script[0]:
            self.send_json(script[0].get("body", {}), script[0]["refuse"], script[0].get("headers"))
            return
        self.server.count("started")
        self.close_connection = True
        self.send_response(200)
        for name, value in {
            **HEADERS,
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
        }.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            if self.play(script):
                self.server.count("finished")
        except OSError:
            self.server.count("cancelled")

    def emit(self, text: str) -> None:
        """Write one piece of the stream at once."""
        self.wfile.write(text.encode())
        self.wfile.flush()

    def play(self, script: list[dict[str, Any]]) -> bool:
        """Write the script's steps; returns whether it ended as an answer should."""
        started = time.monotonic()
        first = 0.0
        tokens = 0
        self.emit(": heartbeat\n\n")
        for step in script:
            if "sleep" in step:
                time.sleep(step["sleep"])
            if "until" in step:
                while not self.server.release.wait(0.05):
                    self.emit(": heartbeat\n\n")
            if "event" in step:
                self.emit(f"event: {step['event']}\ndata: {json.dumps(step['data'])}\n\n")
            if "delta" in step:
                first = first or time.monotonic() - started
                tokens += 1
                choice = {"index": 0, "delta": step["delta"], "finish_reason": step.get("finish")}
                self.emit(f"data: {json.dumps({'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n")
            if "drop" in step:
                return False
        usage = {
            "completion_tokens": tokens,
            "seconds": time.monotonic() - started,
            "first_token_seconds": first,
        }
        self.emit(f"event: usage\ndata: {json.dumps(usage)}\n\ndata: [DONE]\n\n")
        return True


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="Stand-in for the chatbot's server (tests only).")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--prefix", default="", help="path below which everything is served, such as /chat")
    options = parser.parse_args()
    backend = Backend(options.port, options.prefix)
    print(backend.url, flush=True)
    backend.serve_forever()


if __name__ == "__main__":
    main()
