"""playbooks/status.yml of a chatbot on a real API server: certificates, who reaches what, and no secret."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.public_chatbot.place import ROOT, Object, Place, environ
from tests.public_chatbot.test_role import KEY, given, ingress_class

__all__ = ["given", "ingress_class"]


def test_a_cluster_tells_its_certificates_and_who_reaches_what(
    tmp_path: Path, place: Place, given: Object
) -> None:
    place.play(**given)
    before = place.fingerprint()
    host = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "public_chatbot_kubernetes": {"kubeconfig": str(place.kubeconfig)},
        "public_chatbot_namespace": place.namespace,
    }
    inventory, file = tmp_path / "inventory.json", tmp_path / "status.json"
    inventory.write_text(json.dumps({"public": {"hosts": {"web": host}}}))
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            f"--inventory={inventory}",
            f"--extra-vars=status_file={file}",
            str(ROOT / "playbooks/status.yml"),
        ],
        cwd=ROOT,
        env=environ(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
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
    assert KEY not in done.stdout + file.read_text() and "PRIVATE KEY" not in done.stdout + file.read_text()
