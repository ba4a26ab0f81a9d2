"""What inventories say is what roles take; and for the hybrid run a person sets it in one file."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

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


def variables(inventory: str) -> dict[str, dict[str, Any]]:
    """What each host of an inventory of ours is told, as plays see it."""
    name = Path(sys.executable).parent / "ansible-inventory"
    done = subprocess.run(
        [str(name), "-i", str(ROOT / "inventories" / inventory), "--list"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    said = json.loads(done.stdout)
    groups = {group: said[group]["hosts"] for group in ("private", "public")}
    assert all(groups.values()), f"{inventory} has an empty side"
    return dict(said["_meta"]["hostvars"])


def options(role: str) -> dict[str, Any]:
    """What a role says that it takes."""
    text = (ROOT / "roles" / role / "meta/argument_specs.yml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text)["argument_specs"]["main"]["options"])


@pytest.mark.parametrize("inventory", ["hybrid", "kind", "quickstart"])
def test_roles_take_what_an_inventory_says(inventory: str) -> None:
    """A name that no role knows would be of no effect, and nobody would be told."""
    looked_at = 0
    for host, given in variables(inventory).items():
        for role in ("private_model", "public_chatbot", "skupper_site"):
            mine = {name: value for name, value in given.items() if name.startswith(f"{role}_")}
            # Templates are computed in a play only.
            plain = {name: value for name, value in mine.items() if "{{" not in str(value)}
            known = options(role)
            assert mine.keys() <= known.keys(), f"{host}: {mine.keys() - known.keys()}"
            result = ArgumentSpecValidator({name: known[name] for name in plain}).validate(plain)
            assert not result.error_messages, f"{host}: {result.error_messages}"
            looked_at += len(mine)
    assert looked_at
