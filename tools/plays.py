"""Steps that are plays of Ansible: targets of integration and scenarios of molecule.

A play says thousands of lines. They go to a log; shown are its beats, and after a failure what led to it.
"""

from __future__ import annotations

import json
import re
import sys

from steps import CACHE, JUNIT, MINUTE, ROOT, Count, call, count_junit, environment, shown, verdict

TARGETS = ROOT / "tests/integration/targets"
LOGS = CACHE / "logs"
#: What of molecule's own lines tells how far it is.
BEATS = r"^INFO +\[\S+ > \w+\] Execut|^PLAY RECAP|^\S+ +: ok=\d+"
#: A line of a log that tells why a play failed, and how many lines before and after it are shown.
REASON, BEFORE, AFTER = re.compile(r"^(fatal|failed): |^(CRITICAL|ERROR)\b|^\[ERROR\]"), 120, 40
#: Lines from the end, whatever is in them.
LAST = 30


def excerpt(lines: list[str]) -> list[str]:
    """What of a log tells why the play failed: the surroundings of each reason, and the end."""
    wanted: set[int] = set(range(max(0, len(lines) - LAST), len(lines)))
    for number, line in enumerate(lines):
        if REASON.search(line):
            wanted.update(range(max(0, number - BEFORE), min(len(lines), number + AFTER)))
    told: list[str] = []
    last = -1
    for number in sorted(wanted):
        told += [] if number == last + 1 else ["[...]"]
        told.append(lines[number])
        last = number
    return told


def logged(name: str, command: list[str], env: dict[str, str], limit: int, wanted: str = r"(?!)") -> int:
    """Run a command with its output in a log, of which `wanted` is shown; its status."""
    log = LOGS / f"{name}.log"
    with shown(log, wanted), log.open("ab", buffering=0) as output:
        status = call(command, env=env, limit=limit, output=output)
    if status:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        print("\n".join(excerpt(lines)), flush=True)
        print(f"    all of it: {log}", flush=True)
    return status


def play_target(name: str, **variables: str) -> Count:
    """A target below tests/integration by a play of its own."""
    words = "-".join([name, *variables.values()])
    print(f"  -- {words}", flush=True)
    play = CACHE / "integration" / f"{name}.yml"
    play.parent.mkdir(parents=True, exist_ok=True)
    play.write_text(json.dumps([{"hosts": "localhost", "gather_facts": True, "roles": [name]}]))
    env = environment(ANSIBLE_ROLES_PATH=str(TARGETS), NO_COLOR="1", ANSIBLE_CALLBACK_RESULT_FORMAT="yaml")
    command = ["ansible-playbook", "-i", "localhost,", "-c", "local", str(play)]
    command += ["-e", json.dumps({"ansible_python_interpreter": sys.executable, **variables})]
    log = re.sub(r"[^\w.-]", "-", f"integration-{words}")
    return verdict(logged(log, command, env, 30 * MINUTE))


def integration(extended: bool = False) -> Count:
    """Every target; each counts as one. Those with the alias `extended` take minutes and come apart."""
    total = Count()
    for target in sorted(TARGETS.iterdir()):
        aliases = target / "aliases"
        words = aliases.read_text().split() if aliases.exists() else []
        chosen = "hidden" not in words and ("extended" in words) == extended
        if chosen and (target / "tasks/main.yml").exists():
            total += play_target(target.name)
    return total


def molecule(scenario: str, sandboxed: bool = False) -> Count:
    """A scenario, its beats counted as one, and the checks of its verify.

    :param sandboxed: whether what it writes outside of this clone is to be gone afterwards.
    """
    report, steps = JUNIT / f"molecule-{scenario}.xml", CACHE / "progress.log"
    report.unlink(missing_ok=True)
    # Of a run that was killed: molecule would take the scenario for prepared.
    for state in (CACHE / "ansible/tmp").glob(f"molecule.*.{scenario}/state.yml"):
        state.unlink()
    with shown(steps):
        env = environment(MOLECULE_JUNIT=str(report), PRIVATE_AI_PROGRESS_FILE=str(steps), NO_COLOR="1")
        command = ["molecule", "test", "-s", scenario]
        if sandboxed:
            sandbox = [sys.executable, str(ROOT / "tests/standins/skupper/sandbox.py")]
            command = [*sandbox, "--share", str(ROOT), "--", *command]
        status = logged(f"molecule-{scenario}", command, env, 60 * MINUTE, BEATS)
    checks = count_junit(report)
    if checks == Count():
        print("molecule: verify reported no check", flush=True)
        status = status or 1
    return verdict(status) + checks
