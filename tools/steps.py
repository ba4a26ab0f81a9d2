"""What the steps of the test suite are made of: commands with a time limit, and counts from JUnit files."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache"
JUNIT = CACHE / "junit"
BIN = Path(sys.executable).parent
MINUTE = 60


@dataclass
class Count:
    """How many test cases passed, failed and were skipped; and a line about each that failed, where known."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: tuple[str, ...] = ()

    def __add__(self, other: Count) -> Count:
        return Count(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.failures + other.failures,
        )

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


def call(
    command: list[str],
    *,
    cwd: Path = ROOT,
    env: dict[str, str] | None = None,
    limit: int,
    output: IO[bytes] | None = None,
) -> int:
    """Run a command; its status, 124 when it ran past `limit` seconds.

    :param output: where what it says goes, in place of our own output.
    """
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=env or environment(),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
        start_new_session=True,
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
        failures = tuple(line for case in cases if (line := _failure(case)))
        skipped = sum(1 for case in cases if case.find("skipped") is not None)
        total += Count(len(cases) - len(failures) - skipped, len(failures), skipped, failures)
    return total


def _failure(case: ElementTree.Element) -> str:
    """A line about a test case that failed; empty for another one."""
    for kind in ("failure", "error"):
        found = case.find(kind)
        if found is not None:
            reason = (found.get("message") or "").strip().partition("\n")[0]
            return f"{case.get('classname')}.{case.get('name')}: {reason[:200]}"
    return ""


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


@dataclass
class Job:
    """A command of a step in which several run at a time: its output is shown when it is ready."""

    name: str
    command: list[str]
    cwd: Path = ROOT
    env: dict[str, str] = field(default_factory=dict)
    report: Path | None = None
    #: What it has to end with, and to say.
    status: int = 0
    says: str = ""

    def run(self) -> Count:
        """Run it; a linter that finds nothing says nothing."""
        start = time.monotonic()
        if self.report:
            self.report.unlink(missing_ok=True)
        done = subprocess.run(
            self.command,
            cwd=self.cwd,
            env=environment(NO_COLOR="1", **self.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=10 * MINUTE,
            check=False,
        )
        if self.report:
            count = judged(done.returncode, count_junit(self.report))
        else:
            count = verdict(int(done.returncode != self.status or self.says not in done.stdout))
        said = f"\n{done.stdout}" if count.failed else ""
        print(f"  {self.name}: {count} ({time.monotonic() - start:.0f} s){said}", flush=True)
        return count


def together(jobs: list[Job]) -> Count:
    """Run jobs in the given order, two more at a time than processors serve them: a test often only waits."""
    with ThreadPoolExecutor(max_workers=min(2, os.cpu_count() or 1) + 2) as pool:
        return sum(pool.map(Job.run, jobs), Count())


def pytest_command(name: str, *arguments: str) -> tuple[list[str], Path]:
    """The command of a pytest run, and the report that it writes."""
    report = JUNIT / f"{name}.xml"
    return [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *arguments], report


def tracked(*patterns: str) -> list[str]:
    """Files of the repository that match, the new ones too; links are left out."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    names = sorted(set(listed.stdout.splitlines()))
    return [name for name in names if (ROOT / name).is_file() and not (ROOT / name).is_symlink()]


@contextmanager
def shown(file: Path, wanted: str = "") -> Iterator[None]:
    """Show the lines that others append to `file`, those where the pattern `wanted` is found."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("")
    ready = threading.Event()

    def show() -> None:
        with file.open(encoding="utf-8", errors="replace") as lines:
            while True:
                line = lines.readline()
                if line and re.search(wanted, line):
                    print(f"    ... {line.rstrip()}", flush=True)
                elif not line and ready.wait(0.5):
                    return

    watcher = threading.Thread(target=show, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ready.set()
        watcher.join(5)
