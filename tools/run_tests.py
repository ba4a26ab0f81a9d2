"""Runs the test suite step by step, shows it while it runs, and counts.

    python tools/run_tests.py STEP...      STEP: a name or a group from --list (all, extended)

Every step runs, also after a failure; the last line is `N passed, N failed`, the exit status 1 when any failed.
Counts are test cases where a tool reports them (JUnit), and one for a tool that only says yes or no.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import ansible_test_tree

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache"
JUNIT = CACHE / "junit"
APP = ROOT / "chatbot_app"
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
    """Add up JUnit files; one that is missing or unreadable counts as nothing (the caller looks at the status)."""
    total = Count()
    for file in files:
        try:
            cases = list(ElementTree.parse(file).iter("testcase"))  # noqa: S314 - written by our own tools
        except (OSError, ElementTree.ParseError):
            continue
        failed = sum(1 for case in cases if case.find("failure") is not None or case.find("error") is not None)
        skipped = sum(1 for case in cases if case.find("skipped") is not None)
        total += Count(len(cases) - failed - skipped, failed, skipped)
    return total


def judged(status: int, count: Count) -> Count:
    """A tool that failed without a failed test case counts as one failure; so does one that ran no test at all."""
    if count.failed:
        return count
    if status == 0 and count.passed == 0:
        print("no test case was run", flush=True)
    return count if status == 0 and count.passed else count + Count(failed=1)


def pytest(name: str, *paths: str, cwd: Path = ROOT, env: dict[str, str] | None = None) -> Count:
    """Run pytest on `paths`; no test collected is a failure."""
    report = JUNIT / f"{name}.xml"
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *paths]
    return judged(call(command, cwd=cwd, env=env, limit=20 * MINUTE), count_junit(report))


def tracked(*patterns: str) -> list[str]:
    """Files of the repository that match, the new ones too."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return sorted({name for name in listed.stdout.splitlines() if (ROOT / name).is_file()})


def lint() -> Count:
    """Every linter once, two at a time: output only of those that find something."""
    scripts = tracked("*.sh", ".ci/run")
    checks = {
        "ansible-lint": (["ansible-lint", "--offline", "--profile", "production"], ROOT),
        "mypy, application": (["mypy"], APP),
        "mypy, plugins": (["mypy"], ROOT),
        "mypy, tools": (["mypy", *tracked("tools/*.py")], ROOT),
        "ruff check": (["ruff", "check", "--no-fix", "."], ROOT),
        "ruff format": (["ruff", "format", "--check", "."], ROOT),
        "yamllint": (["yamllint", "--strict", *tracked("*.yml", "*.yaml")], ROOT),
        "shellcheck": (["shellcheck", "--external-sources", *scripts], ROOT),
        "hadolint": (["hadolint", "--config", ".hadolint.yaml", *tracked("*Containerfile")], ROOT),
    }

    def check(name: str) -> Count:
        command, folder = checks[name]
        start = time.monotonic()
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment(NO_COLOR="1"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=10 * MINUTE,
            check=False,
        )
        verdict = "ok" if done.returncode == 0 else f"FAILED (status {done.returncode})\n{done.stdout}"
        print(f"  {name}: {verdict} ({time.monotonic() - start:.0f} s)", flush=True)
        return Count(passed=1) if done.returncode == 0 else Count(failed=1)

    with ThreadPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
        return sum(pool.map(check, checks), Count())


def unit() -> Count:
    """What needs neither root nor Podman nor a network, by plain pytest."""
    return pytest("unit", "tests/unit", "tests/docs")


def ansible_test(kind: str, *arguments: str) -> Count:
    """`ansible-test sanity` or `units`, in a copy of the collection at the path that it asks for."""
    tree = ansible_test_tree.copy_collection(ROOT, CACHE, tracked())
    home = ansible_test_tree.prepare_home(CACHE)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    env = environment(HOME=str(home))
    # It is a development tool with its own idea of these.
    for name in ("ANSIBLE_CONFIG", "ANSIBLE_COLLECTIONS_PATH", "ANSIBLE_HOME"):
        env.pop(name)
    status = call(
        [str(BIN / "ansible-test"), kind, "--local", "--python", version, *arguments],
        cwd=tree,
        env=env,
        limit=15 * MINUTE,
    )
    return judged(status, count_junit(*sorted((tree / "tests/output/junit").glob("*.xml"))))


def run_arguments() -> str:
    """What `podman run` needs on this host, as the collection's own preflight finds out."""
    interpreter = f"ansible_python_interpreter={sys.executable}"
    command = ["ansible", "localhost", "-i", "localhost,", "-c", "local", "-e", interpreter, "--one-line"]
    done = subprocess.run(
        [*command, "-m", "private_ai.chatbot.podman_preflight"],
        cwd=ROOT,
        env=environment(NO_COLOR="1"),
        capture_output=True,
        text=True,
        timeout=5 * MINUTE,
        check=False,
    )
    _, found, result = done.stdout.partition(" => ")
    if done.returncode or not found:
        raise RuntimeError(f"the preflight failed: {done.stdout}{done.stderr}")
    podman = json.loads(result)["podman"]
    words = ["--runtime", podman["runtime"]] if podman.get("runtime") else []
    for name, value in (podman.get("ulimits") or {}).items():
        words += ["--ulimit", f"{name}={value}"]
    return " ".join(words)


def images() -> Count:
    """The model server's image, as `molecule` built it a moment ago."""
    return pytest(
        "images",
        "tests/images",
        env=environment(IMAGE="localhost/private-ai/ilab:0.26.1", PODMAN_RUN_ARGS=run_arguments()),
    )


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


def molecule() -> Count:
    """The quickstart on Podman: check, converge, idempotence, verify, destroy. Its own beats count as one."""
    report, steps = JUNIT / "e2e.xml", CACHE / "progress.log"
    report.unlink(missing_ok=True)
    with progress(steps):
        status = call(
            [str(BIN / "molecule"), "test", "-s", "default"],
            env=environment(MOLECULE_JUNIT=str(report), PRIVATE_AI_PROGRESS_FILE=str(steps), NO_COLOR="1"),
            limit=45 * MINUTE,
        )
    return Count(passed=int(status == 0), failed=int(status != 0)) + count_junit(report)


@dataclass
class Step:
    """A named part of the suite."""

    title: str
    run: Callable[[], Count]
    everyday: bool = True


STEPS = {
    "lint": Step("Linters", lint),
    "unit": Step("Unit tests of modules, documents and tools", unit),
    "sanity": Step("ansible-test sanity", lambda: ansible_test("sanity", "--junit")),
    "units": Step("ansible-test units", lambda: ansible_test("units")),
    "packaging": Step("The collection, built, installed and cloned", lambda: pytest("packaging", "tests/packaging")),
    "app": Step("The chatbot's server", lambda: pytest("app", "tests", cwd=APP)),
    "demo": Step("The demo model's files", lambda: pytest("demo", "tests/demo_model")),
    "gateway": Step("The gateway before paced stand-ins", lambda: pytest("gateway", "tests/gateway")),
    "quadlet": Step("Quadlet units in Podman's own generator", lambda: pytest("quadlet", "tests/quadlet")),
    "browser": Step("The page in Chromium", lambda: pytest("browser", "tests/browser")),
    "molecule": Step("molecule: the quickstart, for real", molecule),
    "images": Step("The model server's image under its restrictions", images),
}


def run(names: list[str]) -> Count:
    """Run the steps in order and return their sum."""
    JUNIT.mkdir(parents=True, exist_ok=True)
    results: list[tuple[str, Count, float]] = []
    for number, name in enumerate(names, 1):
        print(f"\n=== [{number}/{len(names)}] {STEPS[name].title} ({name})", flush=True)
        start = time.monotonic()
        try:
            count = STEPS[name].run()
        except Exception as error:  # one broken step must not hide the others
            print(f"{name}: {type(error).__name__}: {error}", flush=True)
            count = Count(failed=1)
        seconds = time.monotonic() - start
        results.append((name, count, seconds))
        print(f"--- {name}: {count} ({seconds:.0f} s)", flush=True)
    print("\nstep         seconds  result")
    for name, count, seconds in results:
        print(f"{name:<12} {seconds:7.0f}  {count}{'  <-- FAILED' if count.failed else ''}")
    return sum((count for _, count, _ in results), Count())


def main() -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"all, extended, {', '.join(STEPS)}")
    parser.add_argument("--list", action="store_true", help="name the steps")
    options = parser.parse_args()
    if options.list or not options.steps:
        print("\n".join(f"{name:<12} {step.title}" for name, step in STEPS.items()))
        return 0
    names: list[str] = []
    for name in options.steps:
        if name == "all":
            names += [one for one, step in STEPS.items() if step.everyday]
        elif name == "extended":
            names += [one for one, step in STEPS.items() if not step.everyday]
        elif name in STEPS:
            names.append(name)
        else:
            parser.error(f"there is no step {name!r}; there are: all, extended, {', '.join(STEPS)}")
    if shutil.which("git") is None:
        parser.error("git is needed to list the files; install it")
    total = run(list(dict.fromkeys(names)))
    print(f"{total.passed} passed, {total.failed} failed", flush=True)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
