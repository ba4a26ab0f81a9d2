"""Stand-in for a served model whose answers are known beforehand, for the tests of model_evaluation.

What it takes from the real one (llama-cpp-python's server under InstructLab 0.26.1): `/v1/models`, streamed
`/v1/chat/completions` with a `<think>` block, Bearer key, no keep-alive. It knows no language: it looks the
question up in a JSON file (question -> reply) and otherwise says that it does not know. On request it is
busy, breaks off, redirects or repeats the key, as the tests need it.

    python tests/standins/answering_model.py --port P --answers FILE [--api-key K] [--busy N]
"""

from __future__ import annotations

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

NAME = "answering-stand-in"
UNKNOWN = "<think>\nNothing known.\n</think>\n\nI do not know that."


class Model(ThreadingHTTPServer):
    """The server, with what it knows and how it behaves."""

    daemon_threads = True

    def __init__(self, port: int, answers: dict[str, str], api_key: str | None = None, busy: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.answers, self.api_key, self.busy = answers, api_key, busy
        #: Fault to show: "", "break", "redirect", "error", "echo", "silent" or "html".
        self.fault = ""
        self.bodies: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Model

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _json(self, status: int, value: Any, **headers: str) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", "Content-Length": str(len(body))}.items():
            self.send_header(name, text)
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(body)

    def _refused(self) -> bool:
        model = self.server
        if model.fault == "redirect":
            self._json(307, {}, Location="http://198.51.100.1/")
        elif model.api_key and self.headers.get("Authorization") != f"Bearer {model.api_key}":
            said = f"Invalid API key {self.headers.get('Authorization')}"
            self._json(401, {"error": {"message": said}})
        elif model.busy > 0:
            model.busy -= 1
            self._json(503, {"error": {"message": "busy"}}, Retry_After="0")
        else:
            return False
        return True

    def do_GET(self) -> None:
        """/v1/models."""
        if self._refused():
            return
        if self.server.fault == "html":
            self._json(200, "<html>")
        elif self.path == "/v1/models":
            self._json(200, {"object": "list", "data": [{"id": NAME, "object": "model"}]})
        else:
            self._json(404, {"error": {"message": "not found"}})

    def do_POST(self) -> None:
        """/v1/chat/completions, streamed word by word."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._refused():
            return
        model = self.server
        model.bodies.append(body)
        reply = model.answers.get(body["messages"][-1]["content"], UNKNOWN)
        if model.fault == "echo":
            reply = f"the key is {self.headers.get('Authorization')}"
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        if model.fault == "silent":
            return
        for piece in reply.split(" "):
            self._event({"choices": [{"index": 0, "delta": {"content": piece + " "}}]})
            if model.fault == "break":
                return
            if model.fault == "error":
                self._event({"error": {"message": "context is full"}})
                return
        self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, value: Any) -> None:
        self.wfile.write(f"data: {json.dumps(value)}\n\n".encode())
        self.wfile.flush()


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--answers", type=Path, required=True)
    parser.add_argument("--api-key")
    parser.add_argument("--busy", type=int, default=0, help="how many requests are refused first")
    options = parser.parse_args()
    answers = json.loads(options.answers.read_text(encoding="utf-8"))
    Model(options.port, answers, options.api_key, options.busy).serve_forever()


if __name__ == "__main__":
    main()
