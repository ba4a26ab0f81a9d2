"""Rows on Kubernetes: the program against an API server, with the test in the place of the controller.

The API server is a stand-in. `becomes` of a step says what the controller would do meanwhile: the
conditions that hold, and fields of the status.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rows
from rows import Seen
from skupper.api_server import ApiServer
from skupper.model import conditions
from skupper.model.kinds import KINDS, Resource, status_of


class Controller:
    """The test's hand in the place of Skupper's controller."""

    def __init__(self, server: ApiServer, namespace: str) -> None:
        self.server = server
        self.namespace = namespace

    def _path(self, kind: str, name: str = "", part: str = "") -> str:
        plural = KINDS[kind].plural if kind in KINDS else f"{kind.lower()}s"
        group = "apis/skupper.io/v2alpha1" if kind in KINDS else "api/v1"
        group = "apis/apps/v1" if kind == "Deployment" else group
        return f"/{group}/namespaces/{self.namespace}/{plural}{name and '/' + name}{part}"

    def make(self, one: Resource) -> None:
        """Create something, of whatever kind."""
        with self.server.lock:
            self.server.handle("POST", self._path(one["kind"]), one)

    def set(self, kind: str, name: str, wanted: dict[str, Any]) -> bool:
        """Give the status to one, or to all of the kind for the name `*`; whether there is any."""
        with self.server.lock:
            found = self.server.handle("GET", self._path(kind), None)["items"]
            for one in [one for one in found if name in ("*", one["metadata"]["name"])]:
                new = {**json.loads(json.dumps(one)), "kind": kind}
                for type_, said in wanted["conditions"].items():
                    ok, reason = said == "OK", "Ready" if said == "OK" else wanted.get("reason", "Pending")
                    conditions.put(new, type_, ok, reason, said)
                status_of(new).update(wanted.get("status") or {})
                self.server.handle("PUT", self._path(kind, one["metadata"]["name"], "/status"), new)
        return bool(found)

    @contextmanager
    def working(self, becomes: dict[str, Any]) -> Iterator[None]:
        """Do what the controller would do while a command runs."""
        done = threading.Event()

        def look() -> None:
            for key, wanted in becomes.items():
                kind, _, name = key.partition("/")
                if "make" in wanted:
                    if self.set(kind, name, {"conditions": {}}):
                        self._once(wanted["make"])
                else:
                    self.set(kind, name, wanted)

        def work() -> None:
            while not done.wait(0.02):
                look()

        # What is there already is settled before: otherwise the command may read it and find it changed.
        look()
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _once(self, one: Resource) -> None:
        path = self._path(one["kind"], one["metadata"]["name"])
        with self.server.lock:
            try:
                self.server.handle("GET", path, None)
            except Exception:
                self.make(one)


class Player:
    """A process that runs one command after the other."""

    def __init__(self, folder: Path, config: Path) -> None:
        self.scenario = {
            "program": os.environ.get("SKUPPER_TEST_BIN", ""),
            "path": os.environ["PATH"],
            "cwd": str(folder),
            "home": str(folder),
            "env": {"KUBECONFIG": str(config)},
            "umask": "022",
            "watch": [],
        }
        # The stand-in looks more often than the program, which is for people.
        environment = {**os.environ, "PYTHONPATH": str(rows.STANDINS), "SKUPPER_STANDIN_TICK": "0.1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "skupper.replay", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )

    def step(self, one: dict[str, Any]) -> Seen:
        """Run a command."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps([self.scenario, one]) + "\n")
        self.process.stdin.flush()
        seen: Seen = json.loads(self.process.stdout.readline())
        return seen

    def end(self) -> None:
        """No more commands."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(30)


def play(fixture: str, name: str, folder: Path) -> list[Seen]:
    """Run a scenario; what was seen at each step."""
    scenario = rows.scenarios(fixture)[name]
    with ApiServer(scenario["namespaces"], crds=scenario.get("crds", True)) as server:
        player = Player(folder, server.kubeconfig(folder / "kubeconfig"))
        try:
            return [_step(step, scenario, server, player, folder) for step in scenario["steps"]]
        finally:
            player.end()


def _step(
    step: dict[str, Any], scenario: dict[str, Any], server: ApiServer, player: Player, folder: Path
) -> Seen:
    namespace = step.get("namespace", scenario["namespace"])
    controller = Controller(server, namespace)
    for one in step.get("given") or []:
        controller.make(one)
    asked = {"argv": rows.argv(step, "kubernetes", namespace), **rows.extras(step)}
    if step["exit"]:
        # It waits in vain, if it waits at all.
        asked["env"] = {**(asked.get("env") or {}), "SKUPPER_STANDIN_HASTE": "20"}
    with controller.working(step.get("becomes") or {}):
        seen = player.step(asked)
    files = {}
    for path in step.get("files") or {}:
        file = folder / path
        files[path] = {"mode": f"{file.stat().st_mode & 0o7777:04o}", "content": _normal(file.read_text())}
    said = {key: _normal(seen[key]) for key in ("stdout", "stderr")}
    return {"exit": seen["exit"], **said, "files": files}


def _normal(text: str) -> str:
    """As for rows on files; versions of resources differ, too."""
    text = rows.normal("", text)
    return re.sub(r'("?resourceVersion"?: )"[0-9]+"', r'\1"<version>"', text)
