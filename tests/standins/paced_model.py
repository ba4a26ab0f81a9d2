"""Stand-in for `ilab model serve`: the same API and the same single connection, but slow and countable.

The demo model answers in milliseconds and would hide a broken queue, so streams, stop, queue, drain and
leaving callers are tested against this: by default a minute of 20 tokens a second. What it takes from the
real one (llama-cpp-python's server under InstructLab 0.26.1): the paths, the `<think>` block, SSE chunks,
Bearer key, `GET /` without a key, no keep-alive, 400 for a request id that is no UUID, and, with
`--limit-concurrency 2`, uvicorn's refusal of a second connection. A stream ends at the next token after its
caller left; an unstreamed answer runs to its end.

    python tests/standins/paced_model.py --port P [--stats-port S] [--rate 20] [--tokens 1200]
        [--limit-concurrency 2] [--keep-alive 0] [--api-key K]

`GET /_stats` on the second port: {"open_streams", "started", "finished", "cancelled", "rejected", "order",
"closed_after_tokens"}.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

NAME = "paced-stand-in"
UUID = re.compile("[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)
# fmt: off
WORDS = ["The", "model", "stays", "on", "its", "own", "host", "and", "answers", "here", "word", "by", "word,",
         "slowly", "enough", "to", "watch."]
# fmt: on


class Paced:
    """What it was asked to be and what has happened so far."""

    def __init__(self, rate: float, tokens: int, api_key: str | None) -> None:
        self.rate, self.tokens, self.api_key = rate, tokens, api_key
        self.counts = {"open_streams": 0, "started": 0, "finished": 0, "cancelled": 0, "rejected": 0}
        self.order: list[str] = []
        self.closed_after_tokens: list[int] = []

    def refused(self, request: Request) -> Response | None:
        """The refusal of a request, None when its id and its key are right."""
        request_id = request.headers.get("x-request-id")
        if request_id is not None and not UUID.fullmatch(request_id):
            return Response(status_code=400)
        if self.api_key and request.headers.get("authorization") != f"Bearer {self.api_key}":
            return JSONResponse(
                {"error": {"message": "Invalid API key", "type": "invalid_request_error"}}, 401
            )
        return None

    def text(self, limit: int) -> list[str]:
        """The tokens of one answer, thinking first."""
        thought = ["<think>\n", "A ", "short ", "thought.", "\n</think>\n\n"]
        return (thought + [WORDS[i % len(WORDS)] + " " for i in range(self.tokens)])[:limit]

    async def completions(self, request: Request) -> Response:
        """/v1/chat/completions and /v1/completions."""
        refused = self.refused(request)
        if refused:
            return refused
        body: dict[str, Any] = await request.json()
        messages = body.get("messages") or [{"content": body.get("prompt", "")}]
        self.order.append(str(messages[-1].get("content", ""))[:80])
        tokens = self.text(int(body.get("max_tokens") or self.tokens + 5))
        chat = request.url.path.endswith("/chat/completions")
        self.counts["started"] += 1
        self.counts["open_streams"] += 1
        if body.get("stream"):
            return StreamingResponse(self.stream(tokens, chat), media_type="text/event-stream")
        try:
            await asyncio.shield(asyncio.sleep(len(tokens) / self.rate))
            self.counts["finished"] += 1
        finally:
            self.counts["open_streams"] -= 1
        content = "".join(tokens)
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
        choice |= {"message": {"role": "assistant", "content": content}} if chat else {"text": content}
        usage = {"prompt_tokens": 8, "completion_tokens": len(tokens), "total_tokens": 8 + len(tokens)}
        return JSONResponse({**self.head(chat, ""), "choices": [choice], "usage": usage})

    def head(self, chat: bool, suffix: str) -> dict[str, Any]:
        """What every answer begins with."""
        kind = ("chat.completion" if chat else "text_completion") + suffix
        return {
            "id": f"chatcmpl-{self.counts['started']}",
            "object": kind,
            "created": int(time.time()),
            "model": NAME,
        }

    async def stream(self, tokens: list[str], chat: bool) -> AsyncIterator[str]:
        """SSE chunks at the given pace."""
        done = sent = 0
        head = self.head(chat, ".chunk" if chat else "")

        def chunk(token: str | None, finish: str | None = None) -> str:
            choice: dict[str, Any] = {"index": 0, "finish_reason": finish}
            if chat:
                choice["delta"] = {} if token is None else {"content": token}
            else:
                choice["text"] = token or ""
            return f"data: {json.dumps({**head, 'choices': [choice]})}\n\n"

        try:
            if chat:
                first = {"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}
                yield f"data: {json.dumps({**head, 'choices': [first]})}\n\n"
            for token in tokens:
                yield chunk(token)
                sent += 1
                await asyncio.sleep(1 / self.rate)
            yield chunk(None, "stop")
            yield "data: [DONE]\n\n"
            done = 1
        finally:
            self.counts["open_streams"] -= 1
            self.counts["finished" if done else "cancelled"] += 1
            if not done:
                self.closed_after_tokens.append(sent)

    async def models(self, request: Request) -> Response:
        """/v1/models."""
        entry = {"id": NAME, "object": "model", "owned_by": "me", "permissions": []}
        return self.refused(request) or JSONResponse({"object": "list", "data": [entry]})

    async def hello(self, request: Request) -> Response:
        """GET /, which health checks ask."""
        return JSONResponse({"message": "Hello from InstructLab! Visit us at https://instructlab.ai"})

    async def stats(self, request: Request) -> Response:
        """What has happened so far."""
        return JSONResponse(
            {**self.counts, "order": self.order, "closed_after_tokens": self.closed_after_tokens}
        )


class Rejections(logging.Handler):
    """Counts the connections that uvicorn refuses before the application sees them."""

    def __init__(self, paced: Paced) -> None:
        super().__init__()
        self.paced = paced

    def emit(self, record: logging.LogRecord) -> None:
        """Count uvicorn's warning."""
        if "Exceeded concurrency limit" in record.getMessage():
            self.paced.counts["rejected"] += 1


async def serve(options: argparse.Namespace) -> None:
    """Run the model's port and the port of the counts until stopped."""
    paced = Paced(options.rate, options.tokens, options.api_key)
    model = Starlette(
        routes=[
            Route("/", paced.hello),
            Route("/v1/models", paced.models),
            Route("/v1/chat/completions", paced.completions, methods=["POST"]),
            Route("/v1/completions", paced.completions, methods=["POST"]),
        ]
    )
    settings: dict[str, Any] = {"host": options.host, "log_level": "warning", "timeout_graceful_shutdown": 1}
    servers = [
        uvicorn.Server(
            uvicorn.Config(
                model,
                port=options.port,
                limit_concurrency=options.limit_concurrency,
                timeout_keep_alive=options.keep_alive,
                **settings,
            )
        )
    ]
    if options.stats_port:
        counts = Starlette(routes=[Route("/_stats", paced.stats)])
        servers.append(uvicorn.Server(uvicorn.Config(counts, port=options.stats_port, **settings)))
    logging.getLogger("uvicorn.error").addHandler(Rejections(paced))
    await asyncio.gather(*(server.serve() for server in servers))


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--stats-port", type=int)
    parser.add_argument("--rate", type=float, default=20.0, help="tokens a second")
    parser.add_argument("--tokens", type=int, default=1200, help="tokens of an answer")
    parser.add_argument("--limit-concurrency", type=int, help="2, as ilab has it; none when left out")
    parser.add_argument("--keep-alive", type=int, default=0, help="seconds; 0, as ilab has it")
    parser.add_argument("--api-key")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
