"""What teardown.yml left on this host: `python -m tests.left` names it and fails when there is something."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from tests.e2e.quickstart_host import DATA_DIR

#: What other tests make is called private-ai-test.
OURS = re.compile(r"private-ai-(?!test)")
PODMAN_LISTS = {
    "container": ["ps", "--all", "--format", "{{.Names}}"],
    "network": ["network", "ls", "--format", "{{.Name}}"],
    "secret": ["secret", "ls", "--format", "{{.Name}}"],
}


def left(environment: dict[str, str] | None = None) -> list[str]:
    """Containers, networks and secrets of ours, and the gateway's directory.

    :param environment: names another storage of Podman's than this host's.
    """
    found = []
    for kind, words in PODMAN_LISTS.items():
        done = subprocess.run(
            ["podman", *words],
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        found += [f"{kind} {name}" for name in done.stdout.split() if OURS.match(name)]
    gateway = DATA_DIR / "gateway"
    return found + ([str(gateway)] if gateway.exists() and environment is None else [])


if __name__ == "__main__":
    kept = left()
    print("\n".join(kept) or "nothing is left")
    sys.exit(1 if kept else 0)
