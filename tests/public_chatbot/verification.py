"""A run of playbooks/verify.yml with this host as either side, and what it found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.public_chatbot.place import ROOT, environ

Variables = dict[str, Any]


def verify(
    folder: Path, public: Variables, private: Variables | None = None, path: Path | None = None, **more: Any
) -> tuple[int, dict[str, Any], str]:
    """Run the playbook: status, report, output.

    :param path: a directory that goes before the others of PATH.
    :param more: variables of the playbook.
    """
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    groups: dict[str, Any] = {"public": {"hosts": {"web": {**local, **public}}}}
    if private is not None:
        groups["private"] = {"hosts": {"model": {**local, **private}}}
    inventory = folder / "inventory.json"
    inventory.write_text(json.dumps(groups))
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory)]
    command += ["-e", json.dumps({"verify_report": str(report), **more}), str(ROOT / "playbooks/verify.yml")]
    env = environ()
    env["PATH"] = f"{path}:{env['PATH']}" if path else env["PATH"]
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert report.exists(), done.stdout[-4000:] + done.stderr[-2000:]
    return done.returncode, json.loads(report.read_text()), done.stdout + done.stderr


def lines(report: dict[str, Any]) -> dict[str, tuple[bool, str]]:
    """What was found, by its name."""
    return {one["name"]: (one["ok"], one["line"]) for one in report["checks"]}
