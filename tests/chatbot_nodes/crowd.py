"""Many visitors at once, counted: whose answer is being written, and who got all of it."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chatbot_nodes.deployed import HOST, PATH


@dataclass
class Answer:
    """One visitor's answer as it comes."""

    status: int = 0
    tokens: list[str] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)
    done: bool = False
    ended: bool = False
    problem: str = ""

    @property
    def open(self) -> bool:
        """Whether it is being written."""
        return bool(self.tokens) and not self.ended

    @property
    def whole(self) -> bool:
        """Whether it came to its end."""
        return self.status == 200 and self.done and not self.problem


class Crowd:
    """Visitors of the page behind the Ingress, each with a connection of its own.

    :param addresses: of this machine, from which they come in turn.
    """

    def __init__(self, ingress: str, trust: ssl.SSLContext, addresses: list[str]) -> None:
        self.url = f"https://{ingress}{PATH}/v1/chat/completions"
        self.trust, self.addresses = trust, addresses
        self.answers: list[Answer] = []
        self._threads: list[threading.Thread] = []

    def ask(self, count: int, tokens: int, **headers: str) -> list[Answer]:
        """Let so many more visitors ask at once; returns without waiting."""
        answers = [Answer() for _each in range(count)]
        self.answers += answers
        thread = threading.Thread(target=self._run, args=(answers, tokens, headers), daemon=True)
        self._threads.append(thread)
        thread.start()
        return answers

    def _run(self, answers: list[Answer], tokens: int, headers: dict[str, str]) -> None:
        asyncio.run(self._ask(answers, tokens, headers))

    async def _ask(self, answers: list[Answer], tokens: int, headers: dict[str, str]) -> None:
        await asyncio.gather(
            *(self._visit(one, number, tokens, headers) for number, one in enumerate(answers))
        )

    async def _visit(self, answer: Answer, number: int, tokens: int, headers: dict[str, str]) -> None:
        transport = httpx.AsyncHTTPTransport(
            verify=self.trust, local_address=self.addresses[number % len(self.addresses)]
        )
        body = {"messages": [{"role": "user", "content": "Hi"}], "stream": True, "max_tokens": tokens}
        client = httpx.AsyncClient(transport=transport, timeout=120, headers={"Host": HOST, **headers})
        sent = client.stream("POST", self.url, json=body, extensions={"sni_hostname": HOST})
        try:
            async with client, sent as response:
                answer.status = response.status_code
                if response.status_code != 200:
                    answer.problem = (await response.aread()).decode()
                async for line in response.aiter_lines():
                    self._take(answer, line)
        except httpx.HTTPError as error:
            answer.problem = repr(error)
        finally:
            answer.ended = True

    def _take(self, answer: Answer, line: str) -> None:
        if line == "data: [DONE]":
            answer.done = True
        elif line.startswith("data: {"):
            said: dict[str, Any] = json.loads(line.removeprefix("data: "))
            if "error" in said:
                answer.problem = str(said["error"])
            for choice in said.get("choices", []):
                token = choice["delta"].get("content") or choice["delta"].get("reasoning_content")
                if token:
                    answer.tokens.append(token)
                    answer.moments.append(time.monotonic())

    def all_open(self, seconds: float = 30) -> int:
        """Wait until every answer is being written; how many are."""
        end = time.monotonic() + seconds
        while self.open < len(self.answers) and time.monotonic() < end:
            time.sleep(0.05)
        return self.open

    @property
    def open(self) -> int:
        """How many answers are being written now."""
        return sum(one.open for one in self.answers)

    def end(self) -> None:
        """Wait until everybody has left."""
        for thread in self._threads:
            thread.join(180)

    def broken(self) -> list[str]:
        """What was wrong, for each answer that is not whole."""
        wrong = [one for one in self.answers if not one.whole]
        return [f"{one.status} {one.problem} after {len(one.tokens)} tokens" for one in wrong]
