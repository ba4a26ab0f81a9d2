"""What each step of the workflow runs: a side leaves out what needs the other one, the link takes it up."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.parsing.dataloader import DataLoader

from tests.playbook import ROOT, run_playbook

NODES: dict[str, dict[str, Any]] = {
    node["name"]: node
    for node in DataLoader().load_from_file(str(ROOT / "playbooks/vars/awx.yml"))["awx_setup_nodes"]
}
VERIFICATION = {"Look at the private side", "Look at the public side", "Everything is as it should be"}
LINK = {"Links to clusters", "Links to hosts", "Both sides agree"}


def listed(playbook: Path, node: dict[str, Any]) -> set[str]:
    """The tasks that this step's limit and tags let through, without their roles' names."""
    options = {"--limit": node.get("limit"), "--tags": node.get("tags"), "--skip-tags": node.get("skip_tags")}
    given = [f"{name}={value}" for name, value in options.items() if value]
    said = run_playbook("--inventory=inventories/hybrid", playbook, "--list-tasks", *given)
    found = re.findall(r"^ {6}(.+?)\s+TAGS: ", said, flags=re.M)
    return {name.rpartition(" : ")[2] for name in found}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The role of the network alone, imported: site.yml includes it, and a list does not look into that."""
    playbook = tmp_path_factory.mktemp("network") / "network.yml"
    tasks = [{"ansible.builtin.import_role": {"name": "private_ai.chatbot.skupper_site"}}]
    playbook.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    return playbook


@pytest.mark.parametrize("side", ["private", "public"])
def test_a_side_by_itself_needs_no_other(side: str, network: Path) -> None:
    # What it does of the network is its own site and services.
    found = listed(network, NODES[side])
    assert {"Preflight", "Site | Site", "Services | Listeners"} <= found
    assert not found & (LINK | {"Verification"})
    # No play of the verification is among those of the deployment.
    found = listed(ROOT / "playbooks/site.yml", NODES[side])
    assert {"Join the site", "On a cluster", "Model servers"} <= found
    assert not found & VERIFICATION


def test_the_key_comes_from_the_private_host_which_is_in_no_step_of_the_public_side(tmp_path: Path) -> None:
    """Without a credential for it, and from where that host keeps it."""
    key = tmp_path / "data/api-key"
    key.parent.mkdir()
    key.write_text("pai_made-on-the-private-host-0001\n")
    key.chmod(0o600)
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    near = {**local, "private_model_data_dir": str(key.parent)}
    hosts = {"private": {"hosts": {"near": near}}, "public": {"hosts": {"cluster": local}}}
    role = {"name": "private_ai.chatbot.public_chatbot", "tasks_from": "kubernetes/key.yml", "public": True}
    tasks = [
        {"ansible.builtin.include_role": role},
        {
            "ansible.builtin.debug": {
                "msg": "{{ __public_chatbot_key.path }} {{ __public_chatbot_key.created }}"
            }
        },
    ]
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(hosts))
    playbook = tmp_path / "play.yml"
    playbook.write_text(yaml.safe_dump([{"hosts": "public", "gather_facts": False, "tasks": tasks}]))
    options = ("--check", "-vvv", f"--limit={NODES['public']['limit']}")
    said = run_playbook("-i", tmp_path / "hosts.yml", playbook, *options)
    assert f"{key} False" in said and "pai_" not in said


def test_the_link_takes_up_what_the_sides_left_out(network: Path) -> None:
    found = listed(network, NODES["link"])
    assert found >= LINK | {"What runs the site"}
    assert "Verification" not in found


def test_the_hosts_of_the_how_to_are_joined() -> None:
    """As inventories/hybrid joins its own: without these variables the link's step has nothing to do."""
    page = (ROOT / "docs/how-to/from-awx.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^ *```yaml\n( *# hosts\.yml\n.*?)^ *```", page, flags=re.M | re.S)
    known: dict[str, Any] = {}
    for path in ROOT.glob("roles/*/meta/argument_specs.yml"):
        known |= yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
    for side, hosts in yaml.safe_load(block)["awx_setup_hosts"].items():
        (given,) = hosts.values()
        text = (ROOT / f"inventories/hybrid/group_vars/{side}/main.yml").read_text(encoding="utf-8")
        for name, value in yaml.safe_load(text).items():
            # The cluster is that of the credential; a template's value is another file's.
            if name.startswith("skupper_site_") and name != "skupper_site_kubernetes":
                assert given.get(name) == value or ("{{" in str(value) and name in given), name
        ours = {name: value for name, value in given.items() if not name.startswith("ansible_")}
        result = ArgumentSpecValidator({name: known[name] for name in ours}).validate(ours)
        assert not result.error_messages


def test_the_verification_is_a_step_of_its_own() -> None:
    assert listed(ROOT / "playbooks/site.yml", {}) >= VERIFICATION
    assert listed(ROOT / "playbooks/verify.yml", NODES["verify"]) >= VERIFICATION
