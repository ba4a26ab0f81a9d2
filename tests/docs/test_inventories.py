"""What a person sets for the hybrid run is in one file: another name or user there is where Ansible goes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.docs.commands import ROOT
from tests.playbook import run_playbook

SETTINGS = Path("group_vars/all/main.yml")


def seen(inventory: Path) -> dict[str, Any]:
    """Address and user of the private host, as plays see them; nothing connects."""
    task = {"ansible.builtin.debug": {"msg": "{{ [ansible_host, ansible_user] }}"}}
    play = [{"hosts": "private", "gather_facts": False, "tasks": [task]}]
    book = inventory / "play.json"
    book.write_text(json.dumps(play))
    output = run_playbook("-i", inventory / "hosts.yml", book, ANSIBLE_STDOUT_CALLBACK="ansible.posix.json")
    said = json.loads(output[output.index("{\n") :])
    return {
        host: result["msg"]
        for one in said["plays"]
        for task in one["tasks"]
        for host, result in task["hosts"].items()
    }


def test_host_and_user_are_set_with_everything_else(tmp_path: Path) -> None:
    inventory = tmp_path / "mine"
    shutil.copytree(ROOT / "inventories/hybrid", inventory)
    file = inventory / SETTINGS
    assert [*yaml.safe_load(file.read_text())][:3] == ["private_host", "private_user", "cluster"]
    text = file.read_text().replace("private_host: model.internal.example", "private_host: 192.0.2.7")
    file.write_text(text.replace("private_user: admin", "private_user: somebody"))
    assert seen(inventory) == {"ilab-podman": ["192.0.2.7", "somebody"]}
