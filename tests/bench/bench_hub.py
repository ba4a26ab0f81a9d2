"""Measure downloads: the module hf_snapshot against huggingface_hub's own snapshot_download.

    python tests/bench/bench_hub.py [MEGABYTES] [ROUNDS]      defaults: 1000 megabytes, 3 rounds

Both get the same files (one large, some small) from the same stand-in Hub on loopback, in turn, into the same
file system. The module also checks every checksum and waits until all is on the disk, which the library
does not do; so `sync` is counted for both, and a run of the library with SHA-256 afterwards is shown besides.
Last, the module's second run, which changes nothing. Nothing is asserted.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from tests.standins.hub.repository import Repository  # noqa: E402 - found by the path above
from tests.standins.hub.serve import StandInHub  # noqa: E402

MODULE = "ansible_collections.private_ai.chatbot.plugins.modules.hf_snapshot"
LIBRARY = (
    "import sys, huggingface_hub as h; "
    "h.snapshot_download('bench/model', local_dir=sys.argv[1], max_workers=4)"
)
ENVIRON = {
    **os.environ,
    "PYTHONPATH": str(ROOT / "collections"),
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}


def by_module(url: str, dest: Path) -> None:
    """The module, as Ansible runs it."""
    options = {"repository": "bench/model", "dest": str(dest), "endpoint": url}
    given = json.dumps({"ANSIBLE_MODULE_ARGS": options})
    done = subprocess.run(
        [sys.executable, "-m", MODULE], input=given, env=ENVIRON, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)


def by_library(url: str, dest: Path) -> None:
    """huggingface_hub alone."""
    environ = {**ENVIRON, "HF_ENDPOINT": url}
    subprocess.run(
        [sys.executable, "-c", LIBRARY, str(dest)], env=environ, check=True, stderr=subprocess.DEVNULL
    )
    os.sync()


def by_library_checked(url: str, dest: Path) -> None:
    """The same, and the checksums that somebody would have to look at afterwards."""
    by_library(url, dest)
    for path in dest.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                hashlib.file_digest(stream, "sha256")


def main() -> None:
    """Run all ways in turn and print medians."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    ways: dict[str, Callable[[str, Path], None]] = {
        "huggingface_hub": by_library,
        "huggingface_hub, then SHA-256": by_library_checked,
        "hf_snapshot": by_module,
    }
    seconds: dict[str, list[float]] = {name: [] for name in [*ways, "hf_snapshot again"]}
    block = os.urandom(1_000_000)
    files = {f"{number}.json": b"{}" * 5000 for number in range(8)}
    files["model.safetensors"] = block * size
    with StandInHub() as hub, tempfile.TemporaryDirectory(prefix="private-ai-bench-") as folder:
        hub.add(Repository("bench/model")).commit(files)
        for turn in range(rounds):
            for name, way in ways.items():
                dest = Path(folder) / f"{turn}-{len(name)}"
                os.sync()
                start = time.perf_counter()
                way(hub.url, dest)
                seconds[name].append(time.perf_counter() - start)
                if way is by_module:
                    start = time.perf_counter()
                    way(hub.url, dest)
                    seconds["hf_snapshot again"].append(time.perf_counter() - start)
                subprocess.run(["rm", "-r", str(dest)], check=True)
    for name, taken in seconds.items():
        middle = statistics.median(taken)
        rate = f"{size / middle:8.0f} MB/s" if "again" not in name else ""
        print(f"{name:<30} {middle:8.2f} s {rate}   (of {', '.join(f'{one:.2f}' for one in taken)})")


if __name__ == "__main__":
    main()
