"""The stand-in of AWX's API, and awx_setup.yml against it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.gateway.gateway_stack import wait_until
from tests.playbook import ROOT, run_playbook
from tests.ports import free_ports

TOKEN = "token-of-the-test"
PLAYBOOKS = [f"playbooks/{path.name}" for path in sorted((ROOT / "playbooks").glob("*.yml"))]
WANTED = re.findall(r"^    playbook: (\S+)$", (ROOT / "playbooks/vars/awx.yml").read_text(), flags=re.M)
#: Playbooks of this release that are named but not there; their templates are left out.
ABSENT = [name for name in WANTED if name not in PLAYBOOKS]


class Awx:
    """A controller of its own."""

    def __init__(self, folder: Path, playbooks: list[str]) -> None:
        self.folder = folder
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        command = [
            sys.executable,
            "-m",
            "tests.standins.awx.controller",
            f"--port={port}",
            f"--token={TOKEN}",
        ]
        self.process = subprocess.Popen([*command, f"--playbooks={','.join(playbooks)}"], cwd=ROOT)
        self.client = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30
        )

        def up() -> bool:
            try:
                return self.client.get("/_requests").status_code == 200
            except httpx.TransportError:
                return False

        wait_until(up, what="the stand-in starts")

    def call(self, method: str, path: str, **data: Any) -> tuple[int, Any]:
        """One request; status and body."""
        answer = self.client.request(method, f"/api/v2/{path}", json=data or None)
        return answer.status_code, answer.json() if answer.content else None

    def all(self, kind: str) -> dict[str, dict[str, Any]]:
        """The objects of a kind by their names."""
        return {
            one.get("name") or one["identifier"]: one for one in self.call("GET", f"{kind}/")[1]["results"]
        }

    def linked(self, kind: str, name: str, relation: str) -> list[str]:
        """The names of what an object is tied to."""
        path = self.all(kind)[name]["related"][relation].removeprefix("/api/v2/")
        return [one.get("name") or one["identifier"] for one in self.call("GET", path)[1]["results"]]

    def writes(self) -> int:
        """How much was written so far."""
        return len(self.client.get("/_requests").json())

    def setup(self, *arguments: str, expect: int = 0, **variables: Any) -> str:
        """Run the playbook as an operator does."""
        given = self.folder / "given.yml"
        given.write_text(yaml.safe_dump(variables))
        words = ["--inventory=localhost,", "playbooks/awx_setup.yml", "-e", f"@{given}", *arguments]
        return run_playbook(*words, expect=expect, CONTROLLER_HOST=self.url, CONTROLLER_OAUTH_TOKEN=TOKEN)

    def stop(self) -> None:
        self.client.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def awx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Awx]:
    """An empty controller whose project has this repository's playbooks."""
    made = Awx(tmp_path_factory.mktemp("awx"), PLAYBOOKS)
    yield made
    made.stop()
