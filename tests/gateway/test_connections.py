"""ilab has room for one connection: none outlives its answer, and a refusal costs the caller nothing.

As in test_queue.py each measure of the configuration is taken away once. A replica that closes by itself, as
ilab does, would hide whether the gateway keeps connections: here one keeps its own for as long as it is let.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from tests.gateway.gateway_stack import KEY, Gateway, wait_until

Start = Callable[..., Gateway]
CHAT = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 3}
CLOSE, REUSE = (r"option http-server-close\n", "\n"), (r"http-reuse never\n", "\n")
POOL, RETRY = (" pool-max-conn 0", ""), (r"retry-on .*\n", "\n")


def without(*measures: tuple[str, str]) -> Callable[[str], str]:
    """Takes measures away, and the checks, whose own short connections would come in between."""

    def mutate(text: str) -> str:
        text = re.sub(r" inter \d+s", " inter 1h", text)
        for pattern, replacement in measures:
            changed = re.sub(pattern, replacement, text)
            assert changed != text, f"{pattern}: nothing to take away"
            text = changed
        return text

    return mutate


def statuses(served: Gateway) -> set[int]:
    """What callers get who keep their connections open, one request after the other."""
    with ExitStack() as stack:
        callers = [
            stack.enter_context(
                httpx.Client(
                    base_url=served.client.base_url, timeout=60, headers={"Authorization": f"Bearer {KEY}"}
                )
            )
            for _ in range(3)
        ]
        found = set()
        for caller in callers * 2:
            for stream in (True, False):
                response = caller.post("/v1/chat/completions", json={**CHAT, "stream": stream})
                found.add(response.status_code)
                # uvicorn needs a moment to see that a connection has gone; nothing is tried again here.
                time.sleep(0.2)
        return found


def test_no_connection_outlives_its_answer(gateway: Start) -> None:
    rows = {
        "nothing taken away": ((), {200}),
        "it is closed after the answer": ((CLOSE,), {200, 503}),
        "were it kept, it would not be pooled": ((CLOSE, REUSE), {200}),
        "and it would be, with that taken away, too": ((CLOSE, REUSE, POOL), {200, 503}),
    }
    # retries 0: being tried again would hide all of it.
    started = [
        gateway(rate=1000, keep_alive=60, retries=0, mutate=without(*measures))
        for measures, _ in rows.values()
    ]
    with ThreadPoolExecutor(len(rows)) as pool:
        found = dict(zip(rows, pool.map(statuses, started)))
    assert found == {name: wanted for name, (_, wanted) in rows.items()}


@contextmanager
def taken(served: Gateway) -> Iterator[None]:
    """Somebody else's connection holds the replica's only place until one has been refused for it."""
    replica = served.replicas[0]
    with socket.create_connection(("127.0.0.1", replica.port)) as holding:

        def leave() -> None:
            wait_until(lambda: replica.stats().get("rejected"), what="somebody was refused")
            holding.close()

        leaving = threading.Thread(target=leave)
        leaving.start()
        yield
        leaving.join()


@pytest.mark.parametrize(("measures", "status"), [((), 200), ((RETRY,), 503)], ids=["with", "without"])
def test_a_refusal_is_tried_again(gateway: Start, measures: tuple[tuple[str, str], ...], status: int) -> None:
    # How long the place is held depends on this machine's load; not how often it is tried again.
    served = gateway(rate=1000, retries=100_000, mutate=without(*measures))
    with taken(served):
        response = served.client.post("/v1/chat/completions", json=CHAT)
    assert response.status_code == status, response.text
