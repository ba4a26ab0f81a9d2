"""A host for the modules: this one, but with a /var/lib/skupper, /etc/systemd and /run of its own.

The command is the stand-in, or what SKUPPER_TEST_BIN names. systemd is a stand-in below bin/, the router the
stand-in that really moves bytes; with SKUPPER_TEST_ROUTER it is the real one.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.skupper.modules.agent_client import Agent
from tests.standins.skupper import sandbox

ROOT = Path(__file__).resolve().parents[3]
STANDINS = ROOT / "tests/standins"
MODULES = "ansible_collections.private_ai.chatbot.plugins.modules"
NAMESPACES = Path("/var/lib/skupper/namespaces")
#: Compiled once for all hosts: what is written next to the sources is gone with a host.
BYTECODE = ROOT / ".cache/pycache"


def compiled() -> dict[str, str]:
    """The environment in which Python keeps what it has compiled."""
    BYTECODE.mkdir(parents=True, exist_ok=True)
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(BYTECODE)}


@dataclass
class Done:
    """What a command in the host ended with."""

    rc: int
    stdout: str
    stderr: str


class Host:
    """Runs commands and modules as root of a host of its own.

    :param folder: for files that both sides see.
    """

    def __init__(self, folder: Path, container: bool = False) -> None:
        self.folder = folder
        self.cli = os.environ.get("SKUPPER_TEST_BIN") or str(STANDINS / "skupper/bin/skupper")
        router = os.environ.get("SKUPPER_TEST_ROUTER")
        bins = [str(Path(router).parent if router else STANDINS / "skupper/router/bin")]
        path = os.pathsep.join(
            [*bins, str(Path(__file__).parent / "bin"), os.environ["PATH"], "/usr/sbin", "/sbin"]
        )
        self.environ = {
            **os.environ,
            "PATH": path,
            "PYTHONPATH": str(ROOT / "collections"),
            **compiled(),
            "SKUPPER_STANDIN_PYTHON": sys.executable,
            "SKUPPER_STANDIN_QUICK_KEYS": "1",
            "SKUPPER_STANDIN_LOCAL_PORTS": str(random.randrange(10_000, 30_000)),
        }
        command = sandbox.command(Agent.command(), container=container, share=[folder, BYTECODE])
        self.agent = Agent(command, self.environ)

    def stop(self) -> None:
        """End what was started in it; its files go with it."""
        places = "/run/standin-systemd/* /srv/*/.systemctl/units/*"
        each = f'for one in {places}; do cat "$one" 2>/dev/null && echo; done'
        for pid in self.run("sh", "-c", each).stdout.split():
            self.run("kill", pid)
        self.agent.stop()

    def run(
        self,
        *argv: str,
        environ: dict[str, str] | None = None,
        stdin: str | None = None,
        limit: float = 120,
    ) -> Done:
        """Run a command in it."""
        enter = ["nsenter", f"--target={self.agent.process.pid}", "--mount", "--root", "--"]
        enter += ["sh", "-c", 'cd "$0" && exec "$@"', str(ROOT)]
        done = subprocess.run(
            [*enter, *argv],
            env={**self.environ, **(environ or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def module(
        self, module: str, /, *, check: bool = False, environ: dict[str, str] | None = None, **options: Any
    ) -> Any:
        """Run a module as Ansible does, and return its result."""
        arguments = {"_ansible_check_mode": check, "_ansible_diff": True, "executable": self.cli, **options}
        return self.agent.run(module, arguments, environ or {})

    def add_user(self, name: str, uid: int) -> Path:
        """Make a user with a home, who may enter the directories of the tests; returns the home."""
        home = Path("/srv", name)
        self.run("install", "-d", "-o", str(uid), "-g", str(uid), str(home))
        self.write("/etc/passwd", self.read("/etc/passwd") + f"{name}:x:{uid}:{uid}::{home}:/bin/sh\n")
        self.run("chmod", "a+rx", *map(str, [self.folder, *self.folder.parents][:-1]))
        return home

    def module_as(self, name: str, module: str, /, *, check: bool = False, **options: Any) -> Any:
        """Run a module as a user that `add_user` made."""
        environ = {key: str(value) for key, value in options.pop("environ", {}).items()}
        arguments = {"_ansible_check_mode": check, "_ansible_diff": True, "executable": self.cli, **options}
        uid, home = self.run("id", "-u", name).stdout.strip(), Path("/srv", name)
        done = self.run(
            *["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"],
            *["env", f"HOME={home}", sys.executable, "-m", f"{MODULES}.{module}"],
            environ=environ,
            stdin=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        )
        lines = done.stdout.strip().splitlines()
        assert lines and lines[-1].startswith("{"), done
        return json.loads(lines[-1])

    def read(self, path: Path | str) -> str:
        """The text of a file in it."""
        done = self.run("cat", str(path))
        assert done.rc == 0, done.stderr
        return done.stdout

    def write(self, path: Path | str, text: str) -> None:
        """Make a file in it."""
        done = self.run("sh", "-c", 'mkdir -p "$(dirname "$0")" && cat >"$0"', str(path), stdin=text)
        assert done.rc == 0, done.stderr

    def fingerprint(self, *paths: Path | str) -> str:
        """A checksum of names, modes, times and contents of everything below some directories."""
        script = (
            'for one; do [ ! -e "$one" ] || find "$one" -printf "%p %m %T@ %s %y\\n" '
            "-type f -exec sha256sum {} +; done | LC_ALL=C sort"
        )
        done = self.run(
            "sh", "-c", script, "sh", *map(str, paths or ("/var/lib/skupper", "/etc/systemd/system"))
        )
        assert done.rc == 0, done.stderr
        return hashlib.sha256(done.stdout.encode()).hexdigest()

    def mode(self, path: Path | str) -> str:
        """The mode of a file in it, in octal."""
        return self.run("stat", "-c", "%a", str(path)).stdout.strip()
