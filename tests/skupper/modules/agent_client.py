"""Talks to agent.py: one process that has loaded Ansible runs many modules."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

AGENT = Path(__file__).parent / "agent.py"


class Result(dict[str, Any]):
    """What a module returned; who asks it for what is not there is told what it said instead."""

    def __missing__(self, key: str) -> Any:
        raise KeyError(f"{key}; the module said {dict(self)}")


class Agent:
    """Runs modules as Ansible does."""

    def __init__(self, command: list[str], environ: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, text=True
        )
        if self._line() != "ready\n":
            raise RuntimeError(f"modules cannot be run there; the agent ended with {self.process.wait()}")

    @staticmethod
    def command() -> list[str]:
        """The command line of the agent."""
        return [sys.executable, str(AGENT)]

    def _line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline()

    def run(self, module: str, arguments: dict[str, Any], environ: dict[str, str]) -> Result:
        """Run one module and return its result."""
        assert self.process.stdin
        request = {"module": module, "arguments": arguments, "environ": environ}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        said: str = json.loads(self._line() or '"the agent has ended"')
        lines = said.strip().splitlines()
        assert lines and lines[-1].startswith("{"), f"{module} returned no result: {said}"
        return Result(json.loads(lines[-1]))

    def stop(self) -> None:
        """End it."""
        self.process.communicate()
