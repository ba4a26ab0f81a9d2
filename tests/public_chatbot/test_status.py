"""status.yml and support_bundle.yml of a chatbot on a real API server: what they tell, and no secret."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.public_chatbot.place import ROOT, Object, Place, environ
from tests.public_chatbot.test_role import KEY, given, ingress_class

__all__ = ["given", "ingress_class"]


class Look:
    """Playbooks that only look at the cluster of an inventory."""

    def __init__(self, folder: Path, place: Place) -> None:
        self.folder = folder
        self.inventory = folder / "inventory.json"
        host = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "public_chatbot_kubernetes": {"kubeconfig": str(place.kubeconfig)},
            "public_chatbot_namespace": place.namespace,
        }
        self.inventory.write_text(json.dumps({"public": {"hosts": {"web": host}}}))

    def play(self, name: str, **variables: object) -> str:
        """Run one; what it said."""
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                f"--inventory={self.inventory}",
                *(f"--extra-vars={key}={value}" for key, value in variables.items()),
                str(ROOT / f"playbooks/{name}.yml"),
            ],
            cwd=ROOT,
            env=environ(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def look(tmp_path: Path, place: Place, given: Object) -> Look:
    """A chatbot that is there."""
    place.play(**given)
    return Look(tmp_path, place)


def test_a_cluster_tells_its_certificates_and_who_reaches_what(
    look: Look, place: Place, given: Object
) -> None:
    before, file = place.fingerprint(), look.folder / "status.json"
    said = look.play("status", status_file=file)
    assert place.fingerprint() == before, "looking wrote something"
    web = json.loads(file.read_text())["hosts"]["web"]
    (certificate,) = web["secrets"]
    assert certificate["secret"] == "chatbot-tls" and "chat.example.com" in certificate["subject"]
    assert certificate["days_left"] > 300
    # Beside it stand the programs of the host that looks, if it has any.
    assert web["versions"]["chatbot image"] == given["public_chatbot_image"]
    reached = {(one["who"], one["reaches"]): one["how"] for one in web["access"]}
    assert reached["visitors", "Ingress chatbot"] == "https://chat.example.com"
    assert "NetworkPolicy chatbot-listener" in str(sorted(reached))
    # No kubelet runs here: the pods are never ready, and the report says so.
    assert "0 of 2 replicas ready" in str(json.loads(file.read_text())["halves"]["public"]["wrong"])
    assert KEY not in said + file.read_text() and "PRIVATE KEY" not in said + file.read_text()


@pytest.mark.extended
def test_a_bundle_of_a_cluster_holds_neither_secrets_nor_prompts(
    look: Look, place: Place, given: Object
) -> None:
    prompt = "canary prompt: what is the weather on the moon"
    place.play(**given, public_chatbot_system_prompt=prompt, public_chatbot_temperature=0.625)
    before, path = place.fingerprint(), look.folder / "bundle.tar.gz"
    said = look.play("support_bundle", support_bundle_path=path)
    assert place.fingerprint() == before, "looking wrote something"
    with tarfile.open(path) as archive:
        files = [(member.name, archive.extractfile(member)) for member in archive.getmembers()]
        texts = {name.removeprefix("./"): file.read().decode() for name, file in files if file}
    whole = said + "".join(texts.values())
    assert KEY not in whole and "PRIVATE KEY" not in whole and prompt not in whole
    settings = json.loads(texts["web/kubernetes/settings.json"])
    assert settings["TEMPERATURE"] == "0.625" and settings["SYSTEM_PROMPT"] == f"<{len(prompt)} characters>"
    # No kubelet runs here, so that there are no logs; tests/chatbot_nodes has them.
    pods = json.loads(texts["web/kubernetes/chatbot-pods.json"])
    assert {pod["phase"] for pod in pods} == {"Pending"}
    assert "SuccessfulCreate" in texts["web/kubernetes/events.txt"]
    assert json.loads(texts["web/kubernetes/version.json"])["gitVersion"]
