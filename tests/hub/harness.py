"""Runs the real module hf_snapshot as Ansible does, in a process of its own, against the stand-in Hub.

The processes are forked from one that has the module's imports ready, since starting Python and importing
takes far longer than the module; `separate` starts one from nothing.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.standins.hub.repository import Repository
from tests.standins.hub.serve import StandInHub

ROOT = Path(__file__).resolve().parents[2]
MODULE = "ansible_collections.private_ai.chatbot.plugins.modules.hf_snapshot"
NAME = "acme/model"


__all__ = ["MODULE", "NAME", "ROOT", "Repository", "Runner", "StandInHub", "content", "tree", "wait_until"]

PLAIN = "from ansible_collections.private_ai.chatbot.plugins.modules import hf_snapshot; hf_snapshot.main()"

# The server that forks does not know our sys.path before Python 3.13.
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "collections")])
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.hub.preload"])

# A kill in the middle of the module: at the Nth call of a function, before or after it.
KILLED = """
import importlib, os, signal, sys
where, name, when, count = {arguments!r}
base = "ansible_collections.private_ai.chatbot.plugins.module_utils."
holder = importlib.import_module(where if where == "os" else base + where.partition(":")[0])
holder = getattr(holder, where.partition(":")[2]) if ":" in where else holder
real, calls = getattr(holder, name), [0]
def wrapped(*arguments, **named):
    calls[0] += 1
    if when == "before" and calls[0] == count:
        os.kill(os.getpid(), signal.SIGKILL)
    result = real(*arguments, **named)
    if when == "after" and calls[0] == count:
        os.kill(os.getpid(), signal.SIGKILL)
    return result
setattr(holder, name, wrapped)
from ansible_collections.private_ai.chatbot.plugins.modules import hf_snapshot
hf_snapshot.main()
"""

# As on a file system or kernel that cannot exchange two directories.
NO_EXCHANGE = """
from ansible_collections.private_ai.chatbot.plugins.module_utils import directories
directories.exchange = lambda one, other: False
"""


def _become(code: str, options: str, environ: dict[str, str], said: str) -> None:
    # The child: its streams are files, as they are pipes for a module that Ansible runs.
    os.environ.clear()
    os.environ.update(environ)
    with tempfile.TemporaryFile() as given:
        given.write(options.encode())
        given.seek(0)
        os.dup2(given.fileno(), 0)
    for number, name in ((1, "out"), (2, "err")):
        handle = os.open(f"{said}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(handle, number)
        os.close(handle)
    sys.argv = ["hf_snapshot"]
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
    try:
        exec(code, {"__name__": "hf_snapshot_process"})  # noqa: S102 - our own text, from this file
    finally:
        sys.stdout.flush()


class Started:
    """A run of the module that goes on."""

    def __init__(self, code: str, options: str, environ: dict[str, str], folder: Path) -> None:
        self.said = str(folder / f"said-{time.monotonic_ns()}")
        self.process = _FORKS.Process(target=_become, args=(code, options, environ, self.said))
        self.process.start()

    def kill(self) -> None:
        """SIGKILL: nothing in it can tidy up."""
        self.process.kill()
        self.wait()

    def wait(self, seconds: float = 120) -> int:
        """Its status, negative for a signal."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, f"still running after {seconds} s"
        return self.process.exitcode

    def read(self, name: str) -> str:
        """What it wrote to "out" or "err"."""
        path = Path(f"{self.said}.{name}")
        return path.read_text() if path.exists() else ""


def content(size: int, seed: int = 1) -> bytes:
    """Bytes that do not repeat, always the same for a seed."""
    return b"".join((seed * 1_000_003 + block).to_bytes(64, "big") for block in range(size // 64 + 1))[:size]


def tree(folder: Path) -> dict[str, bytes]:
    """What a snapshot holds, without its record."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".snapshot.json"
    }


def wait_until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """The first true value of `condition`; AssertionError when it stays false."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s")


class Runner:
    """Runs the module with the options of a test."""

    def __init__(self, hub: StandInHub, folder: Path) -> None:
        self.hub, self.folder = hub, folder
        self.dest = folder / "model"
        self.staging = folder / ".model.partial"
        self.scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix="said-"))
        self.environ = {**os.environ, "HOME": str(self.scratch)}

    def options(self, check: bool = False, **options: Any) -> str:
        """The module's input."""
        given = {
            "repository": NAME,
            "dest": str(self.dest),
            "endpoint": self.hub.url,
            "retries": 2,
            **options,
        }
        return json.dumps(
            {"ANSIBLE_MODULE_ARGS": {**given, "_ansible_check_mode": check, "_ansible_diff": True}}
        )

    def start(self, code: str = PLAIN, **options: Any) -> Started:
        """Start it without waiting."""
        return Started(code, self.options(**options), self.environ, self.scratch)

    @staticmethod
    def result(started: Started) -> dict[str, Any]:
        """What it said; it always says something in JSON."""
        status = started.wait()
        out = started.read("out")
        assert out.strip(), f"no result, status {status}: {started.read('err')}"
        result = json.loads(out)
        assert isinstance(result, dict)
        return result

    def __call__(self, **options: Any) -> dict[str, Any]:
        """Run it; it has to work."""
        result = self.result(self.start(**options))
        assert not result.get("failed"), result.get("msg")
        return result

    def refused(self, **options: Any) -> str:
        """Run it; it has to fail. Returns the message."""
        result = self.result(self.start(**options))
        assert result.get("failed"), result
        return str(result["msg"])

    def killed(
        self, where: str, name: str, when: str, count: int = 1, before: str = "", **options: Any
    ) -> None:
        """Run it up to a point at which it is killed."""
        code = before + KILLED.replace("{arguments!r}", repr((where, name, when, count)))
        started = self.start(code, **options)
        assert started.wait() == -signal.SIGKILL, (
            f"not killed at {name}: {started.read('out')}{started.read('err')}"
        )

    def separate(self, *prefix: str, **options: Any) -> dict[str, Any]:
        """Run it in a process that starts from nothing, below another command."""
        done = subprocess.run(
            [*prefix, sys.executable, "-m", MODULE],
            input=self.options(**options),
            capture_output=True,
            text=True,
            env=self.environ,
            timeout=120,
            check=False,
        )
        assert done.stdout.strip(), done.stderr
        result = json.loads(done.stdout)
        assert isinstance(result, dict)
        return result

    def sent(self) -> int:
        """Bytes of files that the Hub sent so far."""
        return sum(self.hub.stats.sent.values())

    def left(self) -> list[str]:
        """What lies beside the destination."""
        return sorted(path.name for path in self.folder.iterdir() if path.name not in ("model", "home"))
