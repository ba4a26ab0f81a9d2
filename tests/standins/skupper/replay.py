"""Runs the steps of a fixture one after the other, and notes of each what it said and which files it changed.

    python -m skupper.replay SCENARIO.json SEEN.json
    python -m skupper.replay -    (steps by standard input)

Made to run inside of a sandbox, with the real program or, when there is none, with the stand-in in a fork,
which is quicker than a new Python for each step. SCENARIO: `program`, `path`, `cwd`, `home`, `env`,
`umask`, `user`, `watch` (directories), `engine` (a socket), `steps` (`argv`; `stdin`, or `stdin_from` a
file; `env`; `put`: files to write before; `pause`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# All of it is loaded here, once, and not in every fork.
from .cli import bundle, controller, kube_connector, kube_token  # noqa: F401
from .cli.program import main as main_of_standin

LIMIT = 120


def tree(folders: list[str]) -> dict[str, dict[str, Any]]:
    """Every file below the directories: its mode and its content."""
    found = {}
    for folder in folders:
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file():
                mode = f"{path.stat().st_mode & 0o7777:04o}"
                found[str(path)] = {"mode": mode, "content": path.read_bytes().decode("utf-8", "replace")}
    return found


def run(scenario: dict[str, Any], one: dict[str, Any], folder: Path) -> int:
    """Run one command; what it says is in `folder`. Its status."""
    environment = {
        "PATH": scenario["path"],
        "HOME": scenario["home"],
        **scenario["env"],
        **(one.get("env") or {}),
    }
    (folder / "stdin").write_text(one.get("stdin", ""), encoding="utf-8")
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 70
    try:
        signal.alarm(LIMIT)
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            os.dup2(os.open(folder / name, flags, 0o600), number)
        os.chdir(scenario["cwd"])
        os.umask(int(scenario["umask"], 8))
        if user := scenario.get("user"):
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
        if scenario["program"]:
            os.execve(scenario["program"], ["skupper", *one["argv"]], environment)  # noqa: S606 - no shell
        os.environ.clear()
        os.environ.update(environment)
        status = main_of_standin(one["argv"])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def step(scenario: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
    """One step: what the command said and which files it changed."""
    for name, content in (one.get("put") or {}).items():
        path = Path(scenario["cwd"], name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    # Times are written in whole seconds: a step later, the same file has another one.
    time.sleep(one.get("pause", 0))
    if "stdin_from" in one:
        one["stdin"] = Path(one["stdin_from"]).read_text(encoding="utf-8")
    before = tree(scenario["watch"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        status = run(scenario, one, folder)
        said = {part: (folder / part).read_text(encoding="utf-8") for part in ("stdout", "stderr")}
    after = tree(scenario["watch"])
    changed = {
        path: after.get(path)
        for path in sorted(before.keys() | after.keys())
        if (before.get(path) or {}).get("content") != (after.get(path) or {}).get("content")
    }
    return {"exit": status, **said, "files": changed}


@contextmanager
def engine(path: str) -> Iterator[None]:
    """A container engine that listens on a socket file, if one is named."""
    if not path:
        yield
        return
    process = subprocess.Popen([sys.executable, "-m", "skupper.engine_server", path])
    try:
        while not Path(path).exists():
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def serve() -> None:
    """Steps as they come, a line of JSON each, [scenario, step]; what was seen goes back as a line."""
    import kubernetes.client
    import kubernetes.config  # noqa: F401 - loaded once, here, not in every fork

    for line in sys.stdin:
        scenario, one = json.loads(line)
        print(json.dumps(step(scenario, one)), flush=True)


def main() -> None:
    """Entry point."""
    if sys.argv[1:] == ["-"]:
        serve()
        return
    scenario = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    for folder in scenario["watch"]:
        Path(folder).mkdir(parents=True, exist_ok=True)
        if scenario.get("user"):
            os.chown(folder, scenario["user"], scenario["user"])
    with engine(scenario.get("engine", "")):
        seen = [step(scenario, one) for one in scenario["steps"]]
    Path(sys.argv[2]).write_text(json.dumps(seen), encoding="utf-8")


if __name__ == "__main__":
    main()
