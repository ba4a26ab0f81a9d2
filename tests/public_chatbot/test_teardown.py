"""playbooks/teardown.yml: nothing goes without a confirmation, and one part alone leaves the others."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.public_chatbot.place import ROOT, Place, environ

CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "chatbot"}, "data": {"A": "1"}}
SITE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "skupper-site"}}


def teardown(inventory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it with nobody at the keyboard."""
    return subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            *("-i", str(inventory), *arguments),
            str(ROOT / "playbooks/teardown.yml"),
        ],
        env={
            **environ(),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
            # Facts are gathered whatever the tags; what remains shows which parts are touched.
            "ANSIBLE_GATHERING": "explicit",
        },
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_it_asks_and_takes_one_part_alone(place: Place, tmp_path: Path) -> None:
    assert place.module("kubernetes_objects", name="chatbot", wait=False, objects=[CONFIG])["changed"]
    place.create(SITE)
    public = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "public_chatbot_kubernetes": {"kubeconfig": str(place.kubeconfig)},
        "public_chatbot_namespace": place.namespace,
        "skupper_site_platform": "kubernetes",
        "skupper_site_namespace": place.namespace,
    }
    inventory = tmp_path / "inventory.json"
    inventory.write_text(json.dumps({"public": {"hosts": {"cluster": public}}, "private": {"hosts": {}}}))
    before = place.fingerprint()
    refused = teardown(inventory)
    assert refused.returncode != 0 and "Nothing was removed. Remedy: type yes" in refused.stdout
    assert place.fingerprint() == before and place.get("ConfigMap", "chatbot")

    done = teardown(inventory, "-e", "private_ai_confirm=true", "--tags", "public_chatbot")
    assert done.returncode == 0, done.stdout[-3000:]
    assert place.get("ConfigMap", "chatbot") is None
    assert place.get("ConfigMap", "skupper-site") and f"Namespace {place.namespace}" in done.stdout
    assert "TASK [" not in done.stdout.partition("PLAY [Network between the sides")[2], "it was one part"
