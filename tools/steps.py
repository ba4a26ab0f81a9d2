"""What the steps of the test suite are made of: commands with a time limit, and counts from JUnit files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache"
BIN = Path(sys.executable).parent
MINUTE = 60


@dataclass
class Count:
    """How many test cases passed, failed and were skipped."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


def environment(**extra: str) -> dict[str, str]:
    """The environment of every step: our tools first, our collection found, nothing asked of Galaxy."""
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    own = {
        "PATH": path,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        "ANSIBLE_HOME": str(CACHE / "ansible"),
        "PYTHONUNBUFFERED": "1",
        # Every process is one of many: what one has compiled serves all, also where the host says otherwise.
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(CACHE / "pycache"),
    }
    return {**os.environ, **own, **extra}


def call(command: list[str], *, cwd: Path = ROOT, env: dict[str, str] | None = None, limit: int) -> int:
    """Run a command, its output straight to ours; return its status, 124 when it ran past `limit` seconds."""
    process = subprocess.Popen(
        command, cwd=cwd, env=env or environment(), stdin=subprocess.DEVNULL, start_new_session=True
    )
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        print(f"stopped: {command[0]} was not ready after {limit} s", flush=True)
        return 124
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def count_junit(*files: Path) -> Count:
    """Add up JUnit files; a missing or unreadable one counts as nothing: the status tells."""
    total = Count()
    for file in files:
        try:
            cases = list(ElementTree.parse(file).iter("testcase"))  # noqa: S314 - written by our own tools
        except (OSError, ElementTree.ParseError):
            continue
        failed = sum(
            1 for case in cases if case.find("failure") is not None or case.find("error") is not None
        )
        skipped = sum(1 for case in cases if case.find("skipped") is not None)
        total += Count(len(cases) - failed - skipped, failed, skipped)
    return total


def verdict(status: int) -> Count:
    """One test, for a tool that only says yes or no."""
    return Count(passed=1) if status == 0 else Count(failed=1)


def judged(status: int, count: Count) -> Count:
    """A tool that failed without a failed test case counts as a failure; so does one that ran no test."""
    if count.failed:
        return count
    if status == 0 and count.passed == 0:
        print("no test case was run", flush=True)
    return count if status == 0 and count.passed else count + Count(failed=1)


def tracked(*patterns: str) -> list[str]:
    """Files of the repository that match, the new ones too; links are left out."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    names = sorted(set(listed.stdout.splitlines()))
    return [name for name in names if (ROOT / name).is_file() and not (ROOT / name).is_symlink()]


@contextmanager
def progress(file: Path) -> Iterator[None]:
    """Show what long steps of a play append to `file`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("")
    ready = threading.Event()

    def show() -> None:
        with file.open() as lines:
            while True:
                line = lines.readline()
                if line:
                    print(f"    ... {line.rstrip()}", flush=True)
                elif ready.wait(0.5):
                    return

    watcher = threading.Thread(target=show, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ready.set()
        watcher.join(5)
