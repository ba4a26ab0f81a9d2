"""Time to the first visible token: direct to ilab, by the gateway, by the page's API, in turn in one run.

Runs inside a container on both networks, since nothing else can reach ilab directly;
`tests/bench/bench_stack.py` starts it. Prints one JSON object; times are milliseconds.
"""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import os
import statistics
import sys
import time
from urllib.parse import urlsplit

QUESTION = "What is this solution?"


def ask(base: str, key: str, page: bool, question: str = QUESTION) -> tuple[int, float, float]:
    """Ask once, streamed; returns (status, seconds to the first token, seconds to the end)."""
    url = urlsplit(base)
    body = {
        "messages": [{"role": "user", "content": question}],
        "stream": True,
        "temperature": 0,
        "max_tokens": 64,
    }
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    if page:
        headers["X-Chatbot-Events"] = "1"
    start = time.perf_counter()
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=120)
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    response = connection.getresponse()
    first, text = 0.0, ""
    while line := response.readline():
        if first == 0.0 and line.startswith(b"data: {"):
            choices = json.loads(line[5:]).get("choices") or [{}]
            delta = choices[0].get("delta") or {}
            text += delta.get("reasoning_content") or delta.get("content") or ""
            # The page gets no tag and no blank before the first word: count the same word on every way.
            if text.replace("<think>", "").strip() and not "<think>".startswith(text.strip()):
                first = time.perf_counter() - start
    connection.close()
    return response.status, first, time.perf_counter() - start


def main() -> None:
    targets: dict[str, tuple[str, str, bool]] = {
        "direct": (os.environ["DIRECT"], os.environ["INNER_KEY"], False),
        "gateway": (os.environ["GATEWAY"], os.environ["GATEWAY_KEY"], False),
        "page": (os.environ["PAGE"], "", True),
    }
    rounds, parallel = int(sys.argv[1]), int(sys.argv[2])
    seen: dict[str, list[float]] = {name: [] for name in targets}
    for turn in range(rounds + 5):
        for name, (base, key, page) in targets.items():
            time.sleep(0.03)
            # Its own words each time: what the model remembers of the last prompt helps nobody.
            question = f"{turn} {name}: {QUESTION}"
            status, first, _ = ask(base, key, page, question)
            while status == 429:  # the page's limit per visitor, when the bench is repeated
                time.sleep(5)
                status, first, _ = ask(base, key, page, question)
            if status == 200 and first and turn >= 5:
                seen[name].append(first * 1000)
    result: dict[str, object] = {
        name: {
            "n": len(values),
            "median_ms": round(statistics.median(values), 2),
            "p90_ms": round(sorted(values)[int(len(values) * 0.9)], 2),
        }
        for name, values in seen.items()
    }
    for name, (base, key, page) in targets.items():
        if page:  # its limit per visitor, used up above, fills by one a second
            time.sleep(parallel)
        start = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
            statuses = [f.result()[0] for f in [pool.submit(ask, base, key, page) for _ in range(parallel)]]
        result[f"{parallel}_parallel_{name}"] = {
            "answered": statuses.count(200),
            "failed": len(statuses) - statuses.count(200),
            "seconds": round(time.perf_counter() - start, 2),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
