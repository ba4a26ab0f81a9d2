"""Tries to connect to each HOST:PORT that it is given, and says as JSON what came of each: runs in a pod."""

import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

SECONDS = 5


def attempt(target: str) -> str:
    """Return "reached", or why not."""
    host, _colon, port = target.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), SECONDS):
            return "reached"
    except OSError as error:
        return str(error)


if __name__ == "__main__":
    targets = sys.argv[1:]
    with ThreadPoolExecutor(len(targets)) as pool:
        print(json.dumps(dict(zip(targets, pool.map(attempt, targets)))))
