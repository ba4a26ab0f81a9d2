"""playbooks/preflight.yml: all that hosts and clusters lack is said at once, and nothing is changed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.public_chatbot.place import ROOT, Place, environ


def look(folder: Path, **public: Any) -> tuple[int, str]:
    """Run it for two clusters, and a private host at which nobody answers: status and the last message."""
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    nowhere = {"public_chatbot_kubernetes": {"host": "https://127.0.0.1:1"}}
    hosts = {"one": {**local, **public}, "two": {**local, **nowhere}}
    far = {"ansible_host": "127.0.0.1", "ansible_port": 1}
    inventory = folder / "inventory.json"
    inventory.write_text(json.dumps({"public": {"hosts": hosts}, "private": {"hosts": {"far": far}}}))
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory)]
    done = subprocess.run(
        [*command, str(ROOT / "playbooks/preflight.yml")],
        cwd=ROOT,
        env=environ(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    result = json.loads(done.stdout[done.stdout.index("{\n") :])
    last = result["plays"][-1]["tasks"][-1]
    return done.returncode, str(next(iter(last["hosts"].values())).get("msg"))


def test_all_hosts_and_clusters_are_looked_at_before_the_run_stops(tmp_path: Path, place: Place) -> None:
    before = place.fingerprint()
    status, message = look(
        tmp_path,
        public_chatbot_kubernetes={"kubeconfig": str(place.kubeconfig)},
        public_chatbot_namespace=place.namespace,
        public_chatbot_exposure="gateway",
        public_chatbot_path="chat/",
        skupper_site_links=[{"to": "nowhere"}],
    )
    assert status != 0 and place.fingerprint() == before
    for words in (
        "one: public_chatbot_path is 'chat/'",
        "it is not said where the image comes from",
        "public_chatbot_gateway is empty",
        "two: no API server answers at https://127.0.0.1:1",
        "far cannot be reached",
        "one: skupper_site_links names nowhere which is neither a host of the inventory",
    ):
        assert words in message, message
