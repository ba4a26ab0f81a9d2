"""The quickstart from a copy of the collection that was installed offline, and from a plain clone.

The last of these checks: the first one removes what the scenario made, and makes it again without this tree.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.e2e.quickstart_host import ROOT, containers, inspect
from tests.packaging.conftest import Place

INVENTORY = """
all:
  vars: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}
private: {hosts: {here: {}}}
public: {hosts: {here: {}}}
"""


def own(folder: Path) -> Place:
    """Ansible without a configuration or a collection of this tree; Podman is the user's own."""
    return Place(
        folder, {name: os.environ[name] for name in ("HOME", "XDG_RUNTIME_DIR") if name in os.environ}
    )


def answer(page: httpx.Client) -> str:
    """What the model says."""
    response = page.post("/api/completions", json={"question": "What is this solution?"})
    assert response.status_code == 200, response.text
    return str(response.json()["response"])


def test_the_installed_collection_removes_and_deploys_it(tmp_path: Path, page: httpx.Client) -> None:
    place = own(tmp_path)
    collections = tmp_path / "collections"
    place.env["ANSIBLE_COLLECTIONS_PATH"] = str(collections)
    place.run("ansible-galaxy", "collection", "build", "--output-path", str(tmp_path), cwd=ROOT)
    (archive,) = tmp_path.glob("*.tar.gz")
    place.run("ansible-galaxy", "collection", "install", "--offline", "-p", str(collections), str(archive))
    (tmp_path / "inventory.yml").write_text(INVENTORY)
    earlier = containers()

    def play(name: str) -> str:
        return place.run("ansible-playbook", f"private_ai.chatbot.{name}", "-i", "inventory.yml")

    said = play("teardown")
    assert str(ROOT) not in said
    with pytest.raises(AssertionError, match="no such"):
        inspect("private-ai-chatbot")

    said = play("site")
    assert re.search(r"^here .* changed=[1-9].* failed=0", said, re.M), said
    assert "Page:" in said and str(ROOT) not in said
    assert not set(containers()) & set(earlier)
    assert "model" in answer(page).lower()


def test_a_plain_clone_finds_nothing_to_change(tmp_path: Path, page: httpx.Client) -> None:
    """So it would have made the same."""
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(tmp_path / "clone")], check=True)
    before = containers()
    said = own(tmp_path).run(
        "ansible-playbook", "-i", "inventories/quickstart", "site.yml", cwd=tmp_path / "clone"
    )
    assert re.search(r"^localhost .* changed=0 .* failed=0", said, re.M), said
    assert str(ROOT) not in said and containers() == before
    assert "model" in answer(page).lower()
