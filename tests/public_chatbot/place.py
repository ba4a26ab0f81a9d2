"""A namespace of a real API server for module and role, and what was asked of the server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.client import (
    MERGE_PATCH,
    Client,
    connected,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.errors import ApiError
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.resources import RESOURCES

from tests.cluster.fixtures import Api
from tests.skupper.modules.agent_client import Agent

ROOT = Path(__file__).resolve().parents[2]
#: The modules' own user, so that the audit log tells them from the tests.
USER = "ansible"
READS = ("get", "list", "watch")
Object = dict[str, Any]
PATHS = {one.kind: one for one in RESOURCES}


def environ() -> dict[str, str]:
    """The environment of modules and playbooks on this host."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT / "collections"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        "NO_COLOR": "1",
    }


class Place:
    """One namespace, which nobody has made yet."""

    def __init__(self, api: Api, agent: Agent) -> None:
        self.api = api
        self.agent = agent
        self.namespace = f"t{time.time_ns()}"
        self.kubeconfig = api.kubeconfig
        if api.plane is not None:
            self.kubeconfig = api.plane.write_kubeconfig(USER, ("system:masters",))
        self.client: Client = connected(Client, {"kubeconfig": str(api.kubeconfig)})

    def module(self, module: str, /, *, check: bool = False, **options: Any) -> Any:
        """Run a module as Ansible does, and return its result."""
        arguments = {
            "_ansible_check_mode": check,
            "_ansible_diff": True,
            "kubeconfig": str(self.kubeconfig),
            "namespace": self.namespace,
            **options,
        }
        return self.agent.run(module, arguments, {})

    def objects(self, *, check: bool = False, **options: Any) -> Any:
        """Run module kubernetes_objects for the set `web`."""
        return self.module("kubernetes_objects", check=check, name="web", wait=False, **options)

    def play(self, *arguments: str, check: bool = False, **variables: Any) -> Play:
        """Run the role for this namespace."""
        given = {
            "public_chatbot_kubernetes": {"kubeconfig": str(self.kubeconfig)},
            "public_chatbot_namespace": self.namespace,
            "public_chatbot_wait": False,
            "ansible_python_interpreter": sys.executable,
            **variables,
        }
        return Play.run(given, ["--check"] * check + list(arguments))

    def writes(self) -> list[str]:
        """What module and role really wrote so far; nothing is known of a cluster that is not ours."""
        if self.api.plane is None:
            return []
        return [
            f"{one['verb']} {one['requestURI']}"
            for one in self.api.plane.requests()
            if one["user"]["username"] == USER
            and one["verb"] not in READS
            and "dryRun=All" not in one["requestURI"]
            and "accessreviews" not in one["requestURI"]
        ]

    def fingerprint(self) -> str:
        """What would differ if something had been written."""
        return repr(self.writes())

    def get(self, kind: str, name: str) -> Object | None:
        """One object, None when it is not there."""
        try:
            return self.client.request("GET", PATHS[kind].path(self.namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def there(self, kind: str, name: str) -> Object:
        """One object, which must be there."""
        found = self.get(kind, name)
        assert found is not None, f"{kind} {name} is not there"
        return found

    def edit(self, kind: str, name: str, body: Object, part: str = "", manager: str = "kubectl-edit") -> None:
        """Change an object as somebody else would."""
        path = PATHS[kind].path(self.namespace, name) + part
        self.client.request("PATCH", path, [("fieldManager", manager)], body, MERGE_PATCH)

    def create(self, body: Object, namespaced: bool = True) -> None:
        """Make an object as somebody else would."""
        path = PATHS[body["kind"]].path(self.namespace) if namespaced else "/api/v1/namespaces"
        self.client.request("POST", path, [("fieldManager", "kubectl-create")], body)

    def pod_on(self, host: str) -> None:
        """Say as a kubelet does that a pod of the chatbot is ready on a node with this address."""
        path, end = f"/api/v1/namespaces/{self.namespace}/pods", time.monotonic() + 60
        while not (pods := self.client.request("GET", path)["items"]):
            assert time.monotonic() < end, "after a minute the Deployment has no pod"
            time.sleep(0.2)
        ready = [{"type": "Ready", "status": "True"}]
        body = {"status": {"hostIP": host, "hostIPs": [{"ip": host}], "conditions": ready}}
        self.client.request("PATCH", f"{path}/{pods[0]['metadata']['name']}/status", [], body, MERGE_PATCH)

    def make_namespace(self) -> None:
        """Make the namespace as somebody else would."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        self.create(body, namespaced=False)

    def namespace_object(self) -> Object | None:
        """The namespace, None when there is none."""
        try:
            return self.client.request("GET", f"/api/v1/namespaces/{self.namespace}")
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def clear(self) -> None:
        """Remove the namespace."""
        if self.namespace_object() is not None:
            self.client.request("DELETE", f"/api/v1/namespaces/{self.namespace}")


class Play:
    """A run of the role on this host."""

    def __init__(self, status: int, said: str) -> None:
        self.status = status
        self.said = said
        start = said.find("{\n")
        self.result: Object = json.loads(said[start:]) if start >= 0 else {}

    @classmethod
    def run(cls, variables: Object, arguments: list[str]) -> Play:
        """Run it."""
        play = [
            {
                "hosts": "localhost",
                "gather_facts": False,
                "roles": [{"role": "private_ai.chatbot.public_chatbot"}],
            }
        ]
        book = ROOT / ".cache" / "public-chatbot" / f"{time.time_ns()}.json"
        book.parent.mkdir(parents=True, exist_ok=True)
        values = book.with_suffix(".vars")
        try:
            book.write_text(json.dumps(play))
            values.touch(mode=0o600)
            values.write_text(json.dumps(variables))
            command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,"]
            command += ["-c", "local", "--diff", "-e", f"@{values}", *arguments, str(book)]
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=environ(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=300,
                check=False,
            )
        finally:
            book.unlink(missing_ok=True)
            values.unlink(missing_ok=True)
        return cls(done.returncode, done.stdout)

    @property
    def changed(self) -> int:
        """How many tasks changed something."""
        assert self.status == 0, self.said[-4000:]
        return int(self.result["stats"]["localhost"]["changed"])

    def task(self, name: str) -> Object:
        """The result of a task by the end of its name."""
        for play in self.result["plays"]:
            for task in play["tasks"]:
                if task["task"]["name"].endswith(name):
                    return dict(task["hosts"]["localhost"])
        raise AssertionError(f"no task {name}: {self.said[-2000:]}")
