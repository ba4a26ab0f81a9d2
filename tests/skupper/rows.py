"""The fixtures of the stand-in program as rows, and how one is played.

A fixture is a YAML file of scenarios; a scenario is a list of steps on one or several platforms. What
differs from run to run or from host to host (times, keys, names of routers, addresses) is written as a word
in angle brackets, and `normal` puts those words into what a program really said.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "standins"))

from skupper import sandbox

STANDINS = Path(__file__).resolve().parents[1] / "standins"
FIXTURES = STANDINS / "skupper/fixtures"
Seen = dict[str, Any]
# Of this host's addresses only those are compared that every host has.
EVERYWHERE = ("0.0.0.0", "::", "127.0.0.1", "localhost", "<host>")
_WORDS = (
    (r"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", r"<PEM \1>"),
    (r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z", "<time>"),
    (r"[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9:]{8}", "<time>"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>"),
    (r"(\w+)-[0-9]{10}-[0-9]{1,9}\b", r"\1-<router>"),
    # Go's maps and directories have no order.
    (r"namespaces found: \[[a-z ]+\]", "namespaces found: <names>"),
    (r'error loading "[^"]+": multiple', 'error loading "<file>": multiple'),
    (r"https://[0-9.]+:[0-9]+/", "https://<address>/"),
    (r"dial tcp [0-9.]+:[0-9]+:", "dial tcp <address>:"),
    (r"(?m)^(  (?:ca\.crt|tls\.crt|tls\.key|connect\.json): )[^\n]+", r"\1<base64>"),
    (r'("(?:ca\.crt|tls\.crt|tls\.key)": )"[^"]*"', r'\1"<base64>"'),
)


@dataclass(frozen=True)
class Row:
    """One step of a scenario on one platform."""

    fixture: str
    scenario: str
    platform: str
    number: int

    def __str__(self) -> str:
        step = scenarios(self.fixture)[self.scenario]["steps"][self.number]
        words = step.get("run") or step.get("line")
        return f"{self.scenario}-{self.platform}-{self.number}: {words}"


_loaded: dict[str, dict[str, Any]] = {}


def scenarios(fixture: str) -> dict[str, Any]:
    """The scenarios of a fixture by name."""
    if fixture not in _loaded:
        text = (FIXTURES / f"{fixture}.yaml").read_text(encoding="utf-8")
        _loaded[fixture] = yaml.safe_load(text)["scenarios"]
    return _loaded[fixture]


def rows(*fixtures: str) -> Iterator[Row]:
    """All rows of some fixtures."""
    for fixture in fixtures:
        for name, scenario in scenarios(fixture).items():
            for platform in scenario["platforms"]:
                for number in range(len(scenario["steps"])):
                    yield Row(fixture, name, platform, number)


def argv(step: dict[str, Any], platform: str, namespace: str) -> list[str]:
    """The words of a step: `run` with platform and namespace before it, or `line` as it is."""
    if "line" in step:
        return shlex.split(step["line"].replace("{platform}", platform))
    return ["--platform", platform, "-n", namespace, *shlex.split(step["run"])]


def _stub(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


def play(fixture: str, name: str, platform: str, folder: Path, tokens: dict[str, str]) -> list[Seen]:
    """Run a scenario in a sandbox of its own, with the files of some tokens; what was seen at each step."""
    scenario = scenarios(fixture)[name]
    programs, log = folder / "bin", folder / "systemctl.log"
    programs.mkdir()
    folder.chmod(0o777)
    log.touch()
    log.chmod(0o666)
    for program_name in scenario.get("programs", []):
        told = f'echo "$@" >>{log}' if program_name == "systemctl" else "exit 0"
        _stub(programs, program_name, told)
    work = folder / "work"
    work.mkdir()
    work.chmod(0o777)
    for token, text in tokens.items():
        (work / token).write_text(text, encoding="utf-8")
    user = scenario.get("user", 0)
    home = f"{folder}/home"
    steps = [
        {"argv": argv(one, platform, one.get("namespace", scenario["namespace"])), **extras(one)}
        for one in scenario["steps"]
    ]
    play_this = {
        # The real program, or nothing: the stand-in.
        "program": os.environ.get("SKUPPER_TEST_BIN", ""),
        "path": str(programs),
        "cwd": str(work),
        "home": home,
        "env": scenario.get("env", {}),
        "umask": scenario.get("umask", "022"),
        "user": user,
        "steps": steps,
        "engine": scenario.get("engine", ""),
        "watch": [home] if user else ["/var/lib/skupper", "/etc/systemd/system"],
    }
    (folder / "scenario.json").write_text(json.dumps(play_this), encoding="utf-8")
    inner = [sys.executable, "-m", "skupper.replay", f"{folder}/scenario.json", f"{folder}/seen.json"]
    # What is shared is in a directory of its own: the files of a sandbox cannot be below what it shares.
    # Alone, the ports that it takes are those that were recorded; the server of the tokens is outside.
    command = sandbox.command(
        inner, container=scenario.get("container", False), share=[folder], alone=not tokens
    )
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(STANDINS)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"the sandbox failed: {done.stdout}{done.stderr}"
    seen: list[Seen] = json.loads((folder / "seen.json").read_text(encoding="utf-8"))
    seen[-1]["systemctl"] = log.read_text(encoding="utf-8")
    places = {home + "/.local/share/skupper": "{data}", home + "/.config": "{config}"} if user else {}
    return [_normal_step(one, {**places, "/var/lib/skupper": "{data}"}) for one in seen]


def extras(step: dict[str, Any]) -> dict[str, Any]:
    """What a step has besides its words."""
    extras: dict[str, Any] = {key: step[key] for key in ("stdin", "put", "env", "pause") if key in step}
    if "stdin_from" in step:
        extras["stdin_from"] = step["stdin_from"].replace("{data}", "/var/lib/skupper")
    return extras


def _normal_step(one: Seen, places: dict[str, str]) -> Seen:
    def place(text: str) -> str:
        for real, word in places.items():
            text = text.replace(real, word)
        return text

    files = {}
    for path, file in one["files"].items():
        shown = normal_path(place(path))
        if shown:
            content = None if file is None else normal(shown, place(file["content"]))
            files[shown] = None if file is None else {"mode": file["mode"], "content": content}
    return {
        **one,
        "stdout": normal("", place(one["stdout"])),
        "stderr": _sorted_warnings(normal("", place(one["stderr"]))),
        "files": files,
    }


def _sorted_warnings(text: str) -> str:
    """The program warns in no certain order."""
    return "".join(sorted(text.splitlines(keepends=True))) if "WARN" in text else text


def normal_path(path: str) -> str:
    """Static links are one file for each address; those of addresses that only this host has are left out."""
    path = path.replace(socket.gethostname(), "<host>")
    if "/runtime/links/" in path and not any(path.endswith(f"-{host}.yaml") for host in EVERYWHERE):
        return ""
    if path.endswith("/sources.backup.tar.gz"):
        return ""
    return normal("", path)


def normal(path: str, text: str) -> str:
    """A text with words for what differs from run to run."""
    text = text.replace(socket.gethostname(), "<host>")
    for pattern, word in _WORDS:
        text = re.sub(pattern, word, text, flags=re.DOTALL)
    if path.endswith("skrouterd.json"):
        entities = sorted(json.loads(text), key=lambda one: (one[0], one[1].get("name", "")))
        return json.dumps(entities, indent=1, sort_keys=True) + "\n"
    if "/runtime/resources/" in path:
        return _normal_resource(text)
    return text


def _normal_resource(text: str) -> str:
    one = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - everything as text
    for part in ("spec", "status"):
        body = one.get(part) or {}
        for key in ("hosts", "subjectAlternativeNames"):
            if key in body:
                body[key] = [host for host in body[key] if host in EVERYWHERE]
        if "endpoints" in body:
            body["endpoints"] = sorted(body["endpoints"], key=lambda endpoint: endpoint["name"])
    return yaml.safe_dump(one)
