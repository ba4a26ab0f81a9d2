# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Long commands: what they say, where it goes, and that nothing of them runs on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman import watch
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.watch import Progress


@pytest.mark.parametrize(
    "line, said",
    [
        ("STEP 2/7: RUN apt-get update", "step 2 of 7"),
        ("[3/5] STEP 12/14: COPY a b", "part 3 of 5, step 12 of 14"),
        ("progress: compiled 40 of 210 files ", "compiled 40 of 210 files"),
        ("STEP 2: FROM x", None),
        ("Setting up STEP 2/7: ", None),
        ("Get:1 http://deb.example/debian", None),
        ("", None),
    ],
)
def test_plain_words(line: str, said: str | None) -> None:
    assert watch.plain_progress(line) == said


def test_output_goes_to_the_log_and_to_progress(tmp_path: Path) -> None:
    log, lines = tmp_path / "new" / "log", tmp_path / "folder" / "progress"
    script = r"printf 'STEP 1/2: FROM x\nsame\rover\n\xff\nSTEP 2/2: RUN y\nwhy it failed\n' >&2; exit 7"
    done = watch.watch(["bash", "-c", script], str(log), Progress(str(lines), "building x"))
    assert done.rc == 7 and done.last_step == "STEP 2/2: RUN y" and done.tail[-1] == "why it failed"
    assert log.read_text().splitlines() == [
        "STEP 1/2: FROM x",
        "same",
        "over",
        "\ufffd",
        "STEP 2/2: RUN y",
        "why it failed",
    ]
    assert [line.rsplit(" (", 1)[0] for line in lines.read_text().splitlines()] == [
        "building x: step 1 of 2",
        "building x: step 2 of 2",
    ]


def test_tail_is_short_and_the_log_is_whole(tmp_path: Path) -> None:
    log = tmp_path / "log"
    done = watch.watch(["seq", "5000"], str(log), Progress(None, "x"))
    assert done.rc == 0 and done.tail == [str(number) for number in range(4971, 5001)]
    assert len(log.read_text().splitlines()) == 5000


def test_new_log_replaces_the_old(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("of the last time\n")
    watch.watch(["echo", "now"], str(log), Progress(None, "x"))
    assert log.read_text() == "now\n"


def test_language_of_the_host_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "pt_BR.UTF-8")
    monkeypatch.setenv("LANGUAGE", "pt_BR")
    script = "echo $LC_ALL $LANGUAGE $EXTRA; echo é"
    done = watch.watch(["bash", "-c", script], None, Progress(None, "x"), {"EXTRA": "more"})
    assert done.tail == ["C.UTF-8 C more", "é"]


def test_command_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="/nowhere/podman cannot be run: No such file"):
        watch.watch(["/nowhere/podman"], str(tmp_path / "log"), Progress(None, "x"))


def test_log_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = tmp_path / "ran"
    with pytest.raises(ValueError, match=r"log_file .* cannot be written"):
        watch.watch(["touch", str(ran)], str(tmp_path / "file" / "log"), Progress(None, "x"))
    assert not ran.exists()


def test_progress_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    progress = Progress(str(tmp_path / "file" / "progress"), "x")
    assert watch.watch(["echo", "STEP 1/1: a"], None, progress).rc == 0
    assert "cannot be written" in progress.problem and "progress_file" in progress.problem


def test_heartbeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = tmp_path / "progress"
    progress = Progress(str(lines), "x")
    progress.beat()
    assert not lines.exists()
    monkeypatch.setattr(watch, "HEARTBEAT", 0.0)
    progress.beat()
    progress.say("step 1 of 2")
    progress.beat()
    progress.beat()
    assert [line.rsplit(" (", 1)[0] for line in lines.read_text().splitlines()] == [
        "x: still working",
        "x: step 1 of 2",
        "x: still working, step 1 of 2",
        "x: still working, step 1 of 2",
    ]


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid: int) -> bool:
    for _attempt in range(600):
        if not running(pid):
            return True
        time.sleep(0.05)
    return False


#: A child, a grandchild without its parent, and a parent that ignores the signal; all have the output open.
STUBBORN = """
trap '' TERM
echo $$ >"$1/pids"
sleep 300 &
echo $! >>"$1/pids"
(bash -c 'trap "" TERM; echo $$ >>"$1/pids"; sleep 300; true' x "$1" &)
while true; do sleep 1; done
"""


def test_too_late_ends_everything(tmp_path: Path) -> None:
    argv = ["bash", "-c", STUBBORN, "x", str(tmp_path)]
    done = watch.watch(argv, None, Progress(None, "x"), timeout=1, grace=0.5)
    assert done.rc == 124
    pids = [int(line) for line in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 3
    assert all(gone(pid) for pid in pids)


def test_too_late_lets_it_clean_up(tmp_path: Path) -> None:
    script = 'trap "rm $1/work; exit 1" TERM; touch $1/work; while true; do sleep 0.1; done'
    done = watch.watch(["bash", "-c", script, "x", str(tmp_path)], None, Progress(None, "x"), timeout=1)
    assert done.rc == 124 and not (tmp_path / "work").exists()


#: Root needs no user namespace for it, which a changed root directory would refuse.
UNSHARE = ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "--pid", "--fork"]


@pytest.mark.skipif(
    subprocess.run([*UNSHARE, "true"], check=False).returncode != 0,
    reason="this host gives no process namespaces",
)
def test_what_is_in_a_container_ends_first(tmp_path: Path) -> None:
    # As podman build: when the process inside ends, it ends and cleans up; asked itself, it would not.
    script = (
        f"trap 'echo asked' TERM; {' '.join(UNSHARE)} --kill-child "
        "setsid --wait bash -c 'trap \"\" TERM; sleep 300'; echo cleaned; exit 5"
    )
    done = watch.watch(["bash", "-c", script], None, Progress(None, "x"), timeout=1)
    assert done.rc == 124 and "cleaned" in done.tail and "asked" not in done.tail


def test_end_of_the_module_ends_the_build(tmp_path: Path) -> None:
    code = (
        "import sys; from ansible_collections.private_ai.chatbot.plugins.module_utils.podman import watch;"
        "watch.watch(['bash', '-c', 'echo $$ >$1/new; mv $1/new $1/pid; sleep 300', 'x', sys.argv[1]], None,"
        "watch.Progress(None, 'x'))"
    )
    module = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        for _attempt in range(1200):
            if (tmp_path / "pid").exists():
                break
            time.sleep(0.05)
        module.send_signal(signal.SIGTERM)
        assert module.wait(60) == 128 + signal.SIGTERM
    finally:
        module.kill()
    assert gone(int((tmp_path / "pid").read_text()))


def test_end_while_the_build_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    start, started = subprocess.Popen, []

    def slow(*args: Any, **options: Any) -> Any:
        process = start(*args, **options)
        started.append(process.pid)
        os.kill(os.getpid(), signal.SIGTERM)
        return process

    monkeypatch.setattr(subprocess, "Popen", slow)
    with pytest.raises(SystemExit) as left:
        watch.watch(["sleep", "300"], None, Progress(None, "x"))
    assert left.value.code == 128 + signal.SIGTERM
    assert gone(started[0])


def test_signals_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    watch.watch(["true"], None, Progress(None, "x"))
    assert signal.getsignal(signal.SIGTERM) is before
