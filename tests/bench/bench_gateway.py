"""Measure the gateway alone, before the paced stand-in: what it adds to the first token, and crowds.

    python tests/bench/bench_gateway.py [ROUNDS] [CALLERS...]      defaults: 60 rounds, 20 and 100 callers

The role's own configuration in the HAProxy of this host, and one replica that admits one connection, as
ilab does, and answers quickly. Direct and gateway are asked in turn, so that a busy machine slows both.
Nothing is asserted: it prints milliseconds and the ratio. The whole installed stack, with the real model,
is measured by bench_stack.py.
"""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.gateway.gateway_stack import INNER_KEY, KEY, Gateway, Replica

BODY = {"messages": [{"role": "user", "content": "What is this solution?"}], "stream": True, "max_tokens": 20}


def ask(port: int, key: str) -> tuple[int, float]:
    """Ask once, streamed, on a new connection; (status or 0 when broken off, ms to the first token)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    start = time.perf_counter()
    first = 0.0
    try:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        connection.request("POST", "/v1/chat/completions", json.dumps(BODY), headers)
        response = connection.getresponse()
        whole = False
        while line := response.readline():
            whole = whole or line.startswith(b"data: [DONE]")
            if not first and b'"content"' in line:
                first = (time.perf_counter() - start) * 1000
        return response.status if whole or response.status != 200 else 0, first
    except (OSError, http.client.HTTPException):
        return 0, 0.0
    finally:
        connection.close()


def first_token(ways: dict[str, tuple[int, str]], rounds: int) -> None:
    """Ask the ways in turn and print their medians side by side."""
    seen: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 5):
        for name, way in ways.items():
            time.sleep(0.03)
            status, first = ask(*way)
            if status == 200 and turn >= 5:
                seen[name].append(first)
    direct = statistics.median(seen["direct"])
    for name, values in seen.items():
        median, p90 = statistics.median(values), sorted(values)[int(len(values) * 0.9)]
        print(
            f"first token {name:24} median {median:6.2f} ms  p90 {p90:6.2f} ms  "
            f"{median / direct:5.2f} x direct  ({median - direct:+.2f} ms, n={len(values)})"
        )


def crowd(ways: dict[str, tuple[int, str]], callers: int) -> None:
    """All callers at once, each way after the other; print how many were answered."""
    for name, way in ways.items():
        start = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(callers) as pool:
            statuses = Counter(status for status, _ in pool.map(lambda _, way=way: ask(*way), range(callers)))
        seconds = time.perf_counter() - start
        others = {status: count for status, count in statuses.items() if status != 200}
        print(
            f"{callers:3} at once {name:24} answered {statuses[200]:3}, others {others}, in {seconds:.2f} s"
        )


def main() -> None:
    """Start everything, measure, print, stop everything."""
    rounds, *callers = [int(word) for word in sys.argv[1:]] or [60]
    mutations: dict[str, Callable[[str], str]] = {
        "gateway": str,
        "gateway, no http-no-delay": lambda text: re.sub(r" *option http-no-delay\n", "", text),
    }
    replica = Replica(rate=2000, tokens=1200)
    gateways: dict[str, Gateway] = {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            for number, (name, mutate) in enumerate(mutations.items()):
                place = Path(folder) / str(number)
                place.mkdir()
                gateways[name] = Gateway(place, [replica], mutate=mutate)
            ways = {
                "direct": (replica.port, INNER_KEY),
                **{name: (one.port, KEY) for name, one in gateways.items()},
            }
            first_token(ways, rounds)
            del ways["gateway, no http-no-delay"]
            for number in callers or [20, 100]:
                crowd(ways, number)
        finally:
            for one in gateways.values():
                one.stop()
            replica.stop()


if __name__ == "__main__":
    main()
