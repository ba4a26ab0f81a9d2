# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Long commands whose progress can be watched, and which leave nothing running when they take too long."""

from __future__ import annotations

import collections
import contextlib
import os
import re
import signal
import subprocess
import threading
import time
import typing as t

#: Seconds after which a silent step says that it still works.
HEARTBEAT = 15.0

_STEP = re.compile(r"^(?:\[(\d+)/(\d+)\] )?STEP (\d+)(?:/(\d+))?: (.*)$")


def plain_progress(line: str) -> str | None:
    """Return what a line of build output says in plain words, None when it says nothing to a person."""
    if line.startswith("progress: "):
        return line[len("progress: ") :].strip()
    step = _STEP.match(line)
    if step and step.group(4):
        part = f"part {step.group(1)} of {step.group(2)}, " if step.group(1) else ""
        return f"{part}step {step.group(3)} of {step.group(4)}"
    return None


class Progress:
    """Appends what happens to a file that somebody may be watching, one plain line at a time.

    ``problem`` says why nothing is written, when that is so: it is not worth a failed build.
    """

    def __init__(self, path: str | None, title: str) -> None:
        self.path = path
        self.title = title
        self.problem = ""
        self.started = self.said_at = time.monotonic()
        self.last = ""
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Append one line."""
        with self._lock:
            self.last, self.said_at = text, time.monotonic()
            if not self.path:
                return
            try:
                os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
                with open(self.path, "a", encoding="utf-8") as stream:
                    stream.write(f"{self.title}: {text} ({int(time.monotonic() - self.started)} s)\n")
            except OSError as error:
                self.problem = (
                    f"progress_file {self.path!r} cannot be written: {error.strerror}; nobody sees it"
                )
                self.path = None

    def beat(self) -> None:
        """Say that it still works when nothing was said for a while."""
        if time.monotonic() - self.said_at >= HEARTBEAT:
            known = self.last.removeprefix("still working, ")
            self.say(f"still working, {known}" if known else "still working")


class Finished(t.NamedTuple):
    """What a watched command left: exit status and the lines it wrote last."""

    rc: int
    tail: list[str]
    last_step: str


def open_log(path: str | None) -> t.TextIO | None:
    """Open a log for writing and make its directory; ValueError with the remedy when that cannot be."""
    if not path:
        return None
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        return open(path, "w", encoding="utf-8")
    except OSError as error:
        raise ValueError(
            f"log_file {path!r} cannot be written: {error.strerror}; name a file that can be"
        ) from error


def _stat_fields(pid: int) -> list[str]:
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
        # The second field is the program's name in parentheses and may hold anything.
        return stream.read().rpartition(")")[2].split()


def descendants(pid: int) -> list[int]:
    """Return the processes below ``pid``, parents before children."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                children.setdefault(int(_stat_fields(int(name))[1]), []).append(int(name))
            except (OSError, IndexError):
                continue
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found[1:]


def in_containers(pids: t.Iterable[int]) -> list[int]:
    """Return those of ``pids`` that live in another process namespace than this process."""
    found = []
    for pid in pids:
        try:
            with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as stream:
                numbers = next((line for line in stream if line.startswith("NSpid:")), "").split()[1:]
        except OSError:
            continue
        if len(numbers) > 1:
            found.append(pid)
    return found


def _send(pids: t.Iterable[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def stop(process: subprocess.Popen[str], grace: float = 10.0) -> None:
    """End a command and everything that it started, in the order that lets it clean up behind itself.

    What runs inside a container is in a session of its own and outlives ``podman build``. When it ends first,
    the build fails like any other and takes its half-made containers and images away; killed itself, it would
    leave them.

    :param grace: seconds that each of the two polite ways gets.
    """
    inside = in_containers(descendants(process.pid))
    _send(inside, signal.SIGKILL)
    if inside and _ended(process, grace):
        return
    _send([process.pid, *descendants(process.pid)], signal.SIGTERM)
    if not _ended(process, grace):
        _send([process.pid, *descendants(process.pid)], signal.SIGKILL)
    # Those that lost their parent on the way; one that has the output open would be waited for without end.
    _send([pid for pid in in_session(process.pid) if pid != process.pid], signal.SIGKILL)


def _ended(process: subprocess.Popen[str], seconds: float) -> bool:
    # Not wait(): another thread does that, and each of them would take the other's result.
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if _stat_fields(process.pid)[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.1)
    return False


def in_session(session: int) -> list[int]:
    """Return the processes of a session, also those whose parent has gone."""
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and int(_stat_fields(int(name))[3]) == session:
                found.append(int(name))
        except (OSError, IndexError):
            continue
    return found


class _Ending:
    """Handler that leaves on a signal, but not before the command that is being started can be ended, too."""

    def __init__(self) -> None:
        self._armed = False
        self._came = 0

    def __call__(self, number: int, _frame: object) -> None:
        self._came = number
        self._leave()

    def arm(self) -> None:
        """Act on signals from now on, and on one that has come already."""
        self._armed = True
        self._leave()

    def _leave(self) -> None:
        if self._armed and self._came:
            raise SystemExit(128 + self._came)


@contextlib.contextmanager
def _ending_on_signals() -> t.Iterator[_Ending]:
    # A module that is ended in the middle takes the build with it, instead of leaving it to run unseen.
    ending = _Ending()
    if threading.current_thread() is not threading.main_thread():
        yield ending
        return
    before = {number: signal.signal(number, ending) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield ending
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def watch(
    argv: t.Sequence[str],
    log_file: str | None,
    progress: Progress,
    environ: t.Mapping[str, str] | None = None,
    timeout: float = 3600,
    grace: float = 10.0,
) -> Finished:
    """Run ``argv``, its output line by line into ``log_file`` and, in plain words, into ``progress``.

    ValueError when the command or the log cannot be used.

    :param timeout: seconds after which the command and all it started are ended; the exit status is 124 then.
    :param grace: seconds that they get for cleaning up.
    """
    with _ending_on_signals() as ending:
        return _watch(argv, log_file, progress, environ, timeout, grace, ending)


def _watch(
    argv: t.Sequence[str],
    log_file: str | None,
    progress: Progress,
    environ: t.Mapping[str, str] | None,
    timeout: float,
    grace: float,
    ending: _Ending,
) -> Finished:
    tail: collections.deque[str] = collections.deque(maxlen=30)
    step = ""
    log = open_log(log_file)
    try:
        process = subprocess.Popen(  # pylint: disable=consider-using-with
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "LC_ALL": "C.UTF-8", "LANGUAGE": "C", **(environ or {})},
            start_new_session=True,
        )
    except OSError as error:
        if log:
            log.close()
        raise ValueError(
            f"{argv[0]} cannot be run: {error.strerror}; look whether it is there and executable"
        ) from error
    done = threading.Event()
    late = threading.Event()

    def tend() -> None:
        end = time.monotonic() + timeout
        while not done.wait(min(1.0, max(0.05, end - time.monotonic()))):
            progress.beat()
            if time.monotonic() > end:
                late.set()
                stop(process, grace)
                return

    tender = threading.Thread(target=tend, daemon=True)
    try:
        ending.arm()
        tender.start()
        for raw in t.cast("t.Iterable[str]", process.stdout):
            line = raw.rstrip()
            if log:
                log.write(line + "\n")
                log.flush()
            if line.strip():
                tail.append(line)
            if _STEP.match(line):
                step = line
            said = plain_progress(line)
            if said:
                progress.say(said)
        process.wait()
    finally:
        done.set()
        if tender.is_alive():
            tender.join()
        if process.poll() is None:
            stop(process, grace)
            process.wait()
        if log:
            log.close()
    return Finished(124 if late.is_set() else process.returncode, list(tail), step)
