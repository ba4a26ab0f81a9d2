#!/usr/bin/env python3
"""Asks a served model the trained, the held-out and the off-topic questions and counts right answers.

Talks to any OpenAI-compatible server, streamed and not; needs only the standard library. An answer is
right when a closed thinking block comes first and the answer holds its topic's keywords.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from corpus import OFF_TOPIC, Item, load_items, matches, read_json, split_thinking

BUSY = (429, 503)


@dataclass(frozen=True)
class Question:
    """One question and what a right answer looks like."""

    text: str
    item: Item


def questions(kind: str) -> list[Question]:
    """The questions of one part: trained, development, held-out, or their off-topic counterparts."""
    items = load_items()
    by_key = {(item.topic, item.language): item for item in items}
    if kind == "trained":
        return [Question(q, item) for item in items if item.topic != OFF_TOPIC for q in item.questions]
    if kind == "trained-off-topic":
        return [Question(q, item) for item in items if item.topic == OFF_TOPIC for q in item.questions]
    part = read_json("held_out.json")[kind.removesuffix("-off-topic").replace("-", "_")]
    if kind.endswith("-off-topic"):
        return [
            Question(q, by_key[OFF_TOPIC, lang]) for lang, texts in part["off_topic"].items() for q in texts
        ]
    return [Question(q, by_key[topic, lang]) for lang, pairs in part["topics"].items() for topic, q in pairs]


class Client:
    """Minimal chat client. `url` is the base without `/v1`; a busy server is asked again for a minute."""

    def __init__(self, url: str, key: str | None, model: str, temperature: float, top_p: float) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self.headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {key}"} if key else {}
        )
        self.settings = {"model": model, "temperature": temperature, "top_p": top_p, "max_tokens": 400}

    def ask(self, messages: list[dict[str, str]], stream: bool, seed: int) -> str:
        """The raw reply, thinking included."""
        body = json.dumps(self.settings | {"messages": messages, "stream": stream, "seed": seed}).encode()
        deadline = time.monotonic() + 60
        while True:
            request = urllib.request.Request(f"{self.url}/v1/chat/completions", body, self.headers)
            try:
                with urllib.request.urlopen(request, timeout=120) as response:
                    if stream:
                        return "".join(self._pieces(response))
                    return str(json.load(response)["choices"][0]["message"]["content"])
            except urllib.error.HTTPError as error:
                if error.code not in BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    @staticmethod
    def _pieces(response: Any) -> Iterator[str]:
        for raw in response:
            line = raw.decode("utf-8").strip()
            if line.startswith("data:") and line != "data: [DONE]":
                for choice in json.loads(line[5:]).get("choices", []):
                    yield choice.get("delta", {}).get("content") or ""


def judge(reply: str, item: Item) -> tuple[bool, bool]:
    """(right by keywords, word for word the trained answer) of a raw reply."""
    thinking, answer = split_thinking(reply)
    right = bool(thinking) and matches(answer, item.keywords)
    return right, right and answer in item.answers


def history(depth: int, language: str) -> list[dict[str, str]]:
    """Earlier turns of the same language, to ask in the middle of a conversation."""
    earlier = [
        i for i in load_items() if i.language == language and i.topic in ("hello", "solution", "gateway")
    ]
    messages = []
    for item in earlier[:depth]:
        reply = f"<think>\n{item.think}\n</think>\n\n{item.answers[0]}"
        messages += [{"role": "user", "content": item.questions[0]}, {"role": "assistant", "content": reply}]
    return messages


KINDS = (
    "trained",
    "held-out",
    "held-out-off-topic",
    "development",
    "development-off-topic",
    "trained-off-topic",
)


def main() -> int:
    """Command line; exit status 1 when a part stays below --require."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--model", default="demo")
    parser.add_argument("--api-key-file", help="file with the API key; or set API_KEY")
    parser.add_argument("--parts", nargs="+", choices=KINDS, default=list(KINDS[:3]))
    parser.add_argument("--mode", choices=("both", "stream", "plain"), default="both")
    parser.add_argument("--temperature", type=float, default=0.6)
    parser.add_argument("--top-p", type=float, default=0.95)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--earlier-turns", type=int, default=0, choices=range(4), help="ask after so many turns"
    )
    parser.add_argument("--require", type=float, default=0.0, help="least share of right answers, 0 to 1")
    parser.add_argument("--show-wrong", action="store_true")
    args = parser.parse_args()
    key = os.environ.get("API_KEY")
    if args.api_key_file:
        with open(args.api_key_file, encoding="utf-8") as file:
            key = file.read().strip()
    client = Client(args.url, key, args.model, args.temperature, args.top_p)
    low = False
    for kind in args.parts:
        for stream in (True, False):
            if args.mode == ("plain" if stream else "stream"):
                continue
            right = exact = 0
            asked = questions(kind)
            for number, question in enumerate(asked):
                messages = [
                    *history(args.earlier_turns, question.item.language),
                    {"role": "user", "content": question.text},
                ]
                reply = client.ask(messages, stream, args.seed + number)
                good, same = judge(reply, question.item)
                right, exact = right + good, exact + same
                if args.show_wrong and not good:
                    print(f"  wrong [{question.item.topic}] {question.text!r} -> {reply!r}")
            low = low or right < args.require * len(asked)
            print(
                f"{kind:22} {'streamed' if stream else 'plain':8} right {right}/{len(asked)} "
                f"({100 * right / len(asked):.1f} %), word for word {exact}",
                flush=True,
            )
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main())
