"""Measure the running quickstart: first token by way, parallel chats, memory of each container.

`make bench` runs it. Nothing is asserted: it prints milliseconds and the ratios of the ways, measured side
by side.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
DATA_DIR = Path("/var/lib/private-ai" if os.geteuid() == 0 else Path.home() / ".local/share/private-ai")


def podman(*args: str) -> str:
    return subprocess.run(["podman", *args], check=True, capture_output=True, text=True).stdout


def main() -> None:
    rounds, parallel = [*sys.argv[1:], "60", "20"][:2]
    gateway = json.loads(podman("inspect", "private-ai-gateway"))[0]
    limits = []
    for limit in gateway["HostConfig"].get("Ulimits") or []:
        limits += [
            "--ulimit",
            f"{limit['Name'].removeprefix('RLIMIT_').lower()}={limit['Soft']}:{limit['Hard']}",
        ]
    key = (DATA_DIR / "api-key").read_text().strip()
    out = subprocess.run(
        [
            "podman",
            "--runtime",
            os.path.basename(gateway["OCIRuntime"]),
            "run",
            "--rm",
            *limits,
            "--network",
            "private-ai-model:ip=10.131.77.250",
            "--network",
            "private-ai-edge:ip=10.131.78.250",
            "--secret",
            "private-ai-inner-key,type=env,target=INNER_KEY",
            "--env",
            "GATEWAY_KEY",
            "--env",
            "DIRECT=http://10.131.77.11:8000",
            "--env",
            "GATEWAY=http://10.131.78.2:8000",
            "--env",
            "PAGE=http://10.131.78.3:5000",
            "--volume",
            f"{HERE}:/bench:ro",
            "--entrypoint",
            "python3",
            "localhost/private-ai/ilab:0.26.1",
            "/bench/first_token.py",
            rounds,
            parallel,
        ],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "GATEWAY_KEY": key},
    ).stdout
    result = json.loads(out)
    direct = result["direct"]["median_ms"]
    for name in ("direct", "gateway", "page"):
        way = result[name]
        print(
            f"first token {name:8} median {way['median_ms']:7.2f} ms  p90 {way['p90_ms']:7.2f} ms  "
            f"{way['median_ms'] / direct:5.2f} x direct  (+{way['median_ms'] - direct:.2f} ms, n={way['n']})"
        )
    for name in ("direct", "gateway", "page"):
        way = result[f"{parallel}_parallel_{name}"]
        print(
            f"{parallel} parallel {name:8} answered {way['answered']:3}  failed {way['failed']:3}  "
            f"in {way['seconds']} s"
        )
    for line in podman(
        "ps", "--filter", "label=io.private-ai.chatbot=managed", "--format", "{{.Names}} {{.Pid}}"
    ).splitlines():
        name, pid = line.split()
        pages = sum(_rss(int(child)) for child in _tree(pid))
        print(f"memory {name:22} {pages / 1048576:7.1f} MB resident")


def _tree(pid: str) -> list[str]:
    """The process and everything below it."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            found += [child for child in task.read_text().split() if child not in found]
    return found


def _rss(pid: int) -> int:
    """Resident bytes of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    main()
