"""A key that the user gives is kept in no file: neither itself nor one that is generated beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.pipeline.host import Host

KEY = "k3y-of-the-test-that-nobody-may-keep"
#: Podman, whose secret is there already: only the files are looked at.
PODMAN = """#!/bin/sh
echo '[{"ID": "1", "Spec": {"Name": "private-ai-inner-key"}}]'
"""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """This machine without Podman, and a play of the keys alone."""
    program = tmp_path / "bin/podman"
    program.parent.mkdir()
    program.write_text(PODMAN)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    made = Host(tmp_path, __private_model_served_name="a-model")
    role = {"name": "private_ai.chatbot.private_model", "tasks_from": "keys"}
    shown = {"ansible.builtin.debug": {"msg": "hashes: {{ __private_model_key_hashes }}"}}
    tasks = [{"ansible.builtin.import_role": role}, shown]
    made.site.write_text(json.dumps([{"hosts": "private", "gather_facts": False, "tasks": tasks}]))
    return made


@pytest.mark.parametrize("given", [[], [KEY, f"{KEY}-of-another-caller"]], ids=["generated", "given"])
def test_only_a_generated_key_is_in_a_file(host: Host, given: list[str]) -> None:
    status, said = host.play(private_model_api_keys=given)
    assert status == 0 and len(set(re.findall("[0-9a-f]{64}", said))) == max(1, len(given)), said[-3000:]
    files = [path for path in host.data.rglob("*") if path.is_file()]
    assert files == ([] if given else [host.data / "api-key"])
    assert KEY not in said and not [path for path in host.folder.rglob("*.json") if KEY in path.read_text()]
