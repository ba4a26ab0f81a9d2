"""Sites that the role keeps: one of a cluster's namespace and some of one host, from one inventory.

The host is a sandbox of this one with a stand-in for systemd. Ansible runs in it and finds the cluster by a
kubeconfig.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.skupper.modules.host import ROOT, Host

COUNTS = re.compile(r"^(\S+)\s+: (.*)$", re.MULTILINE)


@dataclass
class Run:
    """What a playbook ended with."""

    rc: int
    said: str

    def count(self, word: str) -> dict[str, int]:
        """A number of the recap for each host, such as `changed`."""
        recap = self.said.rpartition("PLAY RECAP")[2]
        return {
            host: int(dict(part.split("=") for part in counts.split())[word])
            for host, counts in COUNTS.findall(recap)
        }

    @property
    def changed(self) -> int:
        """How much was changed on all hosts."""
        return sum(self.count("changed").values())

    def fine(self) -> Run:
        """The same, which went well."""
        assert self.rc == 0, self.said[-6000:]
        return self

    def refused(self, words: str) -> None:
        """It ended with these words."""
        assert self.rc != 0 and words in re.sub(r"\s+", " ", self.said), self.said[-6000:]


class Sites:
    """An inventory with groups private and public, and what may be run with it.

    :param host: where the sites of hosts are.
    :param places: the variables of each site, by the name of its host.
    """

    def __init__(self, host: Host, places: dict[str, dict[str, Any]]) -> None:
        self.host = host
        self.places = places

    def inventory(self, **changes: dict[str, Any]) -> str:
        """Write the inventory, with more variables for some hosts, and return its path."""
        common = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "skupper_site_cli_path": self.host.cli,
            "skupper_site_wait_timeout": 90,
        }
        hosts = {name: {**common, **one, **changes.get(name, {})} for name, one in self.places.items()}
        groups: dict[str, Any] = {"private": {}, "public": {}}
        for name, variables in hosts.items():
            cluster = variables.get("skupper_site_platform", "kubernetes") == "kubernetes"
            groups["public" if cluster else "private"][name] = variables
        path = self.host.folder / "inventory.yml"
        path.write_text(json.dumps({name: {"hosts": members} for name, members in groups.items()}))
        return str(path)

    def role(self, *arguments: str, environ: dict[str, str] | None = None, **changes: dict[str, Any]) -> Run:
        """Run the role on every host."""
        tasks = [{"ansible.builtin.import_role": {"name": "private_ai.chatbot.skupper_site"}}]
        play = self.host.folder / "play.yml"
        play.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
        return self.playbook(str(play), *arguments, environ=environ, **changes)

    def playbook(
        self, path: str, *arguments: str, environ: dict[str, str] | None = None, **changes: dict[str, Any]
    ) -> Run:
        """Run a playbook."""
        done = self.host.run(
            str(Path(sys.executable).parent / "ansible-playbook"),
            *["-i", self.inventory(**changes), path, *arguments],
            environ={
                "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_HOME": str(self.host.folder / "ansible"),
                "ANSIBLE_LOCALHOST_WARNING": "0",
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "0",
                **(environ or {}),
            },
            limit=600,
        )
        return Run(done.rc, done.stdout + done.stderr)
