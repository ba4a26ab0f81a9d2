"""site.yml for the public side, cut short and run again, and by part; the inventory for kind."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader

from tests.public_chatbot.place import ROOT, Object, Place, environ
from tests.public_chatbot.test_role import IMAGE, KEY

pytestmark = pytest.mark.extended

PLAYBOOK = str(Path(sys.executable).parent / "ansible-playbook")
#: What no kubelet is here for.
PAGE = ["--skip-tags", "verify"]
NODES = DataLoader().load_from_file(str(ROOT / "playbooks/vars/awx.yml"))["awx_setup_nodes"]


class Site:
    """An inventory with a cluster, and no private host unless a test has one."""

    def __init__(self, folder: Path, place: Place) -> None:
        self.inventory = folder / "inventory.json"
        self.log = folder / "log"
        self.private: Object = {}
        self.given: Object = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "public_chatbot_kubernetes": {"kubeconfig": str(place.kubeconfig)},
            "public_chatbot_namespace": place.namespace,
            "public_chatbot_image": IMAGE,
            "public_chatbot_api_key": KEY,
            "public_chatbot_exposure": "none",
            "public_chatbot_wait": False,
        }

    def start(self, *arguments: str, **variables: Any) -> subprocess.Popen[bytes]:
        """Begin a run; a group of processes of its own."""
        hosts = {"cluster": {**self.given, **variables}}
        self.inventory.write_text(
            json.dumps({"public": {"hosts": hosts}, "private": {"hosts": self.private}})
        )
        with self.log.open("wb") as output:
            return subprocess.Popen(
                [PLAYBOOK, "-i", str(self.inventory), *PAGE, *arguments, "site.yml"],
                cwd=ROOT,
                env=environ(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def run(self, *arguments: str, **variables: Any) -> Object:
        """A run to its end: what it says."""
        status = self.start(*arguments, **variables).wait(300)
        said = self.log.read_text()
        assert status == 0, said[-4000:]
        found: Object = json.loads(said[said.index("{\n") :])
        return found

    def changed(self, *arguments: str, **variables: Any) -> int:
        """How much a run changed."""
        stats = self.run(*arguments, **variables)["stats"]
        return sum(int(one["changed"]) for one in stats.values())

    def kill_when(self, reached: Callable[[], object], **variables: Any) -> None:
        """Kill a run, and what it started, as soon as something is true."""
        process = self.start(**variables)
        try:
            end = time.monotonic() + 120
            while not reached():
                assert process.poll() is None, self.log.read_text()[-4000:]
                assert time.monotonic() < end, "it did not come so far in two minutes"
                time.sleep(0.02)
        finally:
            # Ansible's workers have sessions of their own.
            for pid in [*descendants(process.pid), process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait(60)


def descendants(pid: int) -> list[int]:
    """The processes that a process started, and theirs."""
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [one for child in map(int, children) for one in (*descendants(child), child)]
    return []


@pytest.fixture
def site(tmp_path: Path, place: Place) -> Site:
    """The public side alone."""
    return Site(tmp_path, place)


def test_a_run_that_is_killed_is_finished_by_the_next(site: Site, place: Place) -> None:
    site.kill_when(place.namespace_object)
    # No node makes the pods available, so that this one is killed while it waits for them.
    site.kill_when(lambda: place.get("Deployment", "chatbot"), public_chatbot_wait=True)
    site.run()
    for kind in ("Secret", "ConfigMap", "Service", "PodDisruptionBudget", "NetworkPolicy"):
        name = "chatbot-api-key" if kind == "Secret" else "chatbot"
        assert place.get(kind, name), f"{kind} {name} is missing"
    written = place.fingerprint()
    assert site.changed() == 0 and place.fingerprint() == written


def test_parts_by_tag_and_by_limit(site: Site, place: Place) -> None:
    # The private host is left alone: nobody answers there.
    site.private = {"far": {"ansible_host": "127.0.0.1", "ansible_port": 1}}
    before, limit = place.fingerprint(), ("--limit", "public")
    assert site.changed(*limit, "--tags", "skupper") == 0 and place.fingerprint() == before
    assert site.changed(*limit, "--tags", "public_chatbot_run") == 1
    assert place.get("Deployment", "chatbot") and place.get("ConfigMap", "private-ai-dashboard") is None
    watched = {"public_chatbot_monitoring": True, "public_chatbot_replicas": 3}
    assert site.changed(*limit, "--tags", "public_chatbot_monitoring", **watched) == 1
    assert place.get("ConfigMap", "private-ai-dashboard")
    assert place.there("Deployment", "chatbot")["spec"]["replicas"] == 2, "that is another part"
    for tag, changed, replicas in (("private_model", 0, 2), ("public_chatbot", 1, 4)):
        assert site.changed(*limit, "--tags", tag, public_chatbot_replicas=4) == changed
        assert place.there("Deployment", "chatbot")["spec"]["replicas"] == replicas
    assert place.get("ConfigMap", "private-ai-dashboard") is None, "that is a part of the chatbot's"


def test_the_public_side_alone_takes_the_key_from_the_private_host(
    site: Site, place: Place, tmp_path: Path
) -> None:
    """As a step of the workflow in AWX without a credential for the key: nothing but this run carries it."""
    key = "pai_made-on-the-private-host-0001"
    (tmp_path / "data").mkdir()
    (tmp_path / "data/api-key").write_text(f"{key}\n")
    del site.given["public_chatbot_api_key"]
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    site.private = {"near": {**local, "private_model_data_dir": str(tmp_path / "data")}}
    (step,) = [one for one in NODES if one["name"] == "public"]
    site.run("--limit", step["limit"], "--skip-tags", step["skip_tags"], "-vvv")
    secret = place.there("Secret", "chatbot-api-key")
    assert base64.b64decode(secret["data"]["api-key"]).decode() == key
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "api-key"]
    assert not [path for path in left if key in path.read_text(errors="replace")]


def test_the_inventory_for_kind_on_an_api_server(tmp_path: Path, place: Place) -> None:
    """With a context of kind's name, and a stand-in for Skupper's command."""
    config = yaml.safe_load(place.kubeconfig.read_text())
    config["contexts"][0]["name"] = "kind-ilab"
    # That of somebody else's cluster, which is not asked.
    config["contexts"].append({"name": "other", "context": {"cluster": "other", "user": "other"}})
    config["clusters"].append({"name": "other", "cluster": {"server": "https://127.0.0.1:1"}})
    config["current-context"] = "other"
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    env = {**environ(), "KUBECONFIG": str(kubeconfig)}
    env["PATH"] = f"{ROOT / 'tests/standins/skupper/bin'}:{env['PATH']}"
    before = place.fingerprint()
    done = subprocess.run(
        [PLAYBOOK, "-i", "inventories/kind", "playbooks/preflight.yml"],
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert place.fingerprint() == before
