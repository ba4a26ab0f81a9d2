"""Processes that end with their parent, whatever ends it, and folders that do not outlive their run."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.cluster.programs import CACHE

START_SECONDS = 120
END_SECONDS = 30
RUNS = CACHE / "runs"
CGROUPS = Path("/sys/fs/cgroup")


def answers(url: str) -> bool:
    """Whether it says 200."""
    try:
        # Some of these certificates are their server's own; whether it answers is all that is asked.
        return httpx.get(url, verify=False, trust_env=False, timeout=5).status_code == 200  # noqa: S501
    except httpx.HTTPError:
        return False


def found(name: str, package: str) -> str:
    """The path of a program of the distribution; RuntimeError when it is not there."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if not path:
        raise RuntimeError(f"{name} is not installed; remedy: tools/bootstrap.sh --dev (package {package})")
    return path


def child_of(pid: int) -> int:
    """The process that `unshare --fork` started; ProcessLookupError while there is none."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError as error:
        raise ProcessLookupError(f"process {pid} ended") from error
    if not children:
        raise ProcessLookupError(f"process {pid} has no child")
    return int(children[0])


class Processes:
    """Programs and their logs. The kernel kills them when the thread that started them ends."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: list[str], ready: Callable[[], bool] = lambda: True) -> int:
        """Start a program, wait until it is ready and return its number.

        :raises RuntimeError: with the end of its log, when it ends or is not ready in time.
        """
        log = self.logs / f"{name}.log"
        with log.open("ab") as output:
            self.running[name] = subprocess.Popen(
                [found("setpriv", "util-linux"), "--pdeathsig", "KILL", *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.wait(name, ready)
        return self.running[name].pid

    def wait(self, name: str, ready: Callable[[], bool]) -> None:
        """Wait until a program is ready; RuntimeError as above."""
        end = time.monotonic() + START_SECONDS
        while not ready():
            if self.running[name].poll() is not None or time.monotonic() > end:
                log = self.logs / f"{name}.log"
                raise RuntimeError(f"{name} does not serve: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)

    def stop(self, *names: str) -> None:
        """End these, or all, newest first; nothing that they could still write is wanted."""
        chosen = names or tuple(reversed(self.running))
        for name in chosen:
            self.running[name].kill()
        for name in chosen:
            self.running.pop(name).wait(END_SECONDS)

    def ended(self) -> list[str]:
        """Those that should run and do not."""
        return [name for name, process in self.running.items() if process.poll() is not None]


class Workspace:
    """A folder of this run, removed by `close`, or by the next run if this one is killed.

    Its name is the name of the run's control groups, too.
    """

    def __init__(self) -> None:
        RUNS.mkdir(parents=True, exist_ok=True)
        with RUNS.with_suffix(".lock").open("w") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            sweep()
            self.path = Path(tempfile.mkdtemp(prefix="private-ai-test-", dir=RUNS))
            # Held while this process lives.
            self._lock = (self.path / "lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        """Remove it and its control groups."""
        remove(self.path)
        self._lock.close()


def sweep() -> None:
    """Remove what killed runs left."""
    for folder in RUNS.iterdir():
        with (folder / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            remove(folder)


def remove(folder: Path) -> None:
    """Remove a run's folder and its control groups, of which the processes have ended or are ending."""
    for group in control_groups(folder.name):
        for inner in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
            _remove_group(inner)
        _remove_group(group)
    shutil.rmtree(folder, ignore_errors=True)


def control_groups(name: str) -> list[Path]:
    """The control groups of this name in every hierarchy: version 1 has several, version 2 one."""
    return [group for group in (CGROUPS / name, *CGROUPS.glob(f"*/{name}")) if group.is_dir()]


def make_control_groups(name: str) -> None:
    """Make them, as a kubelet wants its root to be there already."""
    hierarchies = [CGROUPS] if (CGROUPS / "cgroup.controllers").exists() else list(CGROUPS.iterdir())
    for hierarchy in hierarchies:
        # "unified" holds no controller when the others are there, and links repeat one of them.
        if hierarchy.is_dir() and not hierarchy.is_symlink() and hierarchy.name != "unified":
            (hierarchy / name).mkdir(parents=True, exist_ok=True)


def _remove_group(group: Path) -> None:
    end = time.monotonic() + END_SECONDS
    while True:
        try:
            group.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
