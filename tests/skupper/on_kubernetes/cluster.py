"""A namespace of a real API server for the modules, and what was asked of the server."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.api import (
    MERGE_PATCH,
    connect,
    path_of,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.api import Api as Client
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.errors import ApiError
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import (
    CONNECTOR,
    LISTENER,
    SITE,
    Kind,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.ownership import FIELD_MANAGER

from tests.cluster.fixtures import Api
from tests.skupper.modules.agent_client import Agent
from tests.skupper.modules.host import ROOT, STANDINS, compiled
from tests.standins.skupper.model.crds import definitions

#: The modules' own user, so that the audit log tells them from the tests.
USER = "ansible"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
READS = ("get", "list", "watch")
KINDS = (SITE, LISTENER, CONNECTOR)
Object = dict[str, Any]


def install_crds(client: Client) -> None:
    """Make Skupper's kinds known, and wait until they are served."""
    for one in definitions():
        name = one["metadata"]["name"]
        try:
            client.request("POST", CRDS, body=one)
        except ApiError as error:
            if error.status != 409:
                raise
        end = time.monotonic() + 30
        while True:
            found = client.request("GET", f"{CRDS}/{name}").get("status") or {}
            states = {each["type"]: each["status"] for each in found.get("conditions") or []}
            if states.get("Established") == "True":
                break
            assert time.monotonic() < end, f"{name} is not served: {states}"
            time.sleep(0.05)


class Cluster:
    """One namespace.

    :param client: for the tests themselves.
    """

    def __init__(self, api: Api, agent: Agent, namespace: str) -> None:
        self.api = api
        self.agent = agent
        self.namespace = namespace
        self.kubeconfig = api.kubeconfig
        if api.plane is not None:
            self.kubeconfig = api.plane.write_kubeconfig(USER, ("system:masters",))
        self.client = connect({"kubeconfig": str(api.kubeconfig)})
        self.cli = os.environ.get("SKUPPER_TEST_BIN") or str(STANDINS / "skupper/bin/skupper")

    def module(self, module: str, /, *, check: bool = False, **options: Any) -> Any:
        """Run a module as Ansible does, and return its result."""
        arguments = {
            "_ansible_check_mode": check,
            "_ansible_diff": True,
            "executable": self.cli,
            "kubeconfig": str(self.kubeconfig),
            "namespace": self.namespace,
            **options,
        }
        return self.agent.run(module, arguments, {})

    def command(self, *words: str) -> str:
        """What the `skupper` command says."""
        where = ["--platform", "kubernetes", "--kubeconfig", str(self.api.kubeconfig), "-n", self.namespace]
        done = subprocess.run(
            [self.cli, *where, *words],
            env=environ(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def asked(self) -> list[Object]:
        """What the modules asked of the API server so far; nothing is known of a cluster that is not ours."""
        if self.api.plane is None:
            return []
        return [one for one in self.api.plane.requests() if one["user"]["username"] == USER]

    def writes(self) -> list[str]:
        """What the modules really wrote so far."""
        return [
            f"{one['verb']} {one['requestURI']}"
            for one in self.asked()
            if one["verb"] not in READS and "dryRun=All" not in one["requestURI"]
        ]

    def fingerprint(self) -> str:
        """What would differ if the modules had written: requests, generations, their managed fields."""
        found: list[Any] = [self.writes()]
        for kind in KINDS:
            for one in self.client.all(kind, self.namespace):
                metadata = one["metadata"]
                ours = [
                    each for each in metadata.get("managedFields", []) if each["manager"] == FIELD_MANAGER
                ]
                found.append([metadata["uid"], metadata["generation"], ours])
        return repr(found)

    def labels(self) -> Object:
        """The labels of the namespace, none when it is not there."""
        path = f"/api/v1/namespaces/{self.namespace}"
        if not _answers(self.client, path):
            return {}
        labels: Object = self.client.request("GET", path)["metadata"]["labels"]
        return labels

    def get(self, kind: Kind, name: str) -> Object:
        """One object, which must be there."""
        found = self.client.get(kind, self.namespace, name)
        assert found is not None, f"{kind.name} {name} is not there"
        return found

    def others(self, kind: Kind, name: str, spec: Object, **metadata: Any) -> None:
        """Change an object as somebody else with kubectl would."""
        path = path_of(kind, self.namespace, name)
        body = {"metadata": metadata, "spec": spec}
        self.client.request("PATCH", path, [("fieldManager", "kubectl-edit")], body, MERGE_PATCH)

    def create(self, kind: Kind, name: str, spec: Object) -> None:
        """Make an object as somebody else would."""
        body = {
            "apiVersion": kind.api_version,
            "kind": kind.name,
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": spec,
        }
        path = path_of(kind, self.namespace)
        self.client.request("POST", path, [("fieldManager", "kubectl-create")], body)


def forget_crds(client: Client) -> None:
    """Have the API server know none of Skupper's kinds, and wait until it does not."""
    for one in definitions():
        path = f"{CRDS}/{one['metadata']['name']}"
        client.request("DELETE", path)
        end = time.monotonic() + 30
        while _answers(client, path):
            assert time.monotonic() < end, f"{path} is still there"
            time.sleep(0.05)


def _answers(client: Client, path: str) -> bool:
    try:
        client.request("GET", path)
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    return True


@contextmanager
def finalised(cluster: Cluster) -> Iterator[None]:
    """Meanwhile, what is removed of a namespace goes: an API server of ours has no controller for that."""
    done = threading.Event()
    path = f"/api/v1/namespaces/{cluster.namespace}"

    def work() -> None:
        while not done.wait(0.1):
            try:
                live = cluster.client.request("GET", path)
                if live["metadata"].get("deletionTimestamp"):
                    live["spec"]["finalizers"] = []
                    cluster.client.request("PUT", f"{path}/finalize", body=live)
            except ApiError as error:
                if error.status not in (404, 409):
                    raise

    thread = threading.Thread(target=work, daemon=True)
    if cluster.api.plane is not None:
        thread.start()
    try:
        yield
    finally:
        done.set()
        if thread.is_alive():
            thread.join()


def environ() -> dict[str, str]:
    """The environment of modules on this host."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT / "collections"),
        **compiled(),
        "SKUPPER_STANDIN_PYTHON": sys.executable,
    }
