"""The API server of the tests is a real one: it stores, refuses, writes down what was asked, and goes."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException

from tests.cluster.control_plane import ControlPlane
from tests.cluster.fixtures import Api
from tests.cluster.processes import Workspace
from tests.cluster.programs import ROOT


def connect(kubeconfig: Path) -> client.CoreV1Api:
    return client.CoreV1Api(config.new_client_from_config(str(kubeconfig)))


def new_namespace(core: client.CoreV1Api) -> str:
    name = f"test-{uuid.uuid4().hex[:8]}"
    core.create_namespace({"metadata": {"name": name}})
    return name


def config_map(core: client.CoreV1Api, namespace: str, dry_run: bool = False) -> Any:
    body = {"metadata": {"name": "one"}, "data": {"a": "1"}}
    return core.create_namespaced_config_map(namespace, body, **({"dry_run": "All"} if dry_run else {}))


def test_it_stores_and_its_controllers_work(api: Api) -> None:
    core = connect(api.kubeconfig)
    namespace = new_namespace(core)
    config_map(core, namespace)
    assert core.read_namespaced_config_map("one", namespace).data == {"a": "1"}
    # From a listing on: a watch that names no version waits for one that an old etcd never reports.
    selector = f"metadata.name={namespace}"
    listed = core.list_namespace(field_selector=selector).metadata.resource_version
    core.delete_namespace(namespace)
    events = watch.Watch().stream(
        core.list_namespace, field_selector=selector, resource_version=listed, timeout_seconds=60
    )
    assert "DELETED" in (event["type"] for event in events)
    with pytest.raises(ApiException) as gone:
        core.read_namespace(namespace)
    assert gone.value.status == 404


def test_a_user_without_rights_is_refused_and_the_audit_log_tells_writes_from_dry_runs(api: Api) -> None:
    if api.plane is None:
        pytest.skip("TEST_KUBECONFIG names a cluster whose users and audit log are not ours")
    core = connect(api.kubeconfig)
    namespace = new_namespace(core)
    visitor = connect(api.plane.write_kubeconfig("visitor"))
    with pytest.raises(ApiException) as refused:
        config_map(visitor, namespace)
    assert refused.value.status == 403
    config_map(core, namespace, dry_run=True)
    config_map(core, namespace)
    seen = [
        (entry["user"]["username"], entry["responseStatus"]["code"], "dryRun=All" in entry["requestURI"])
        for entry in api.plane.requests()
        if entry["verb"] == "create" and entry["objectRef"].get("namespace") == namespace
    ]
    assert [one for one in seen if one[0] in ("visitor", "admin")] == [
        ("visitor", 403, False),
        ("admin", 201, True),
        ("admin", 201, False),
    ]


def test_nothing_is_left_and_nobody_else_gets_in(tmp_path: Path) -> None:
    plane = ControlPlane(tmp_path / "plane").start()
    pids = [process.pid for process in plane.processes.running.values()]
    try:
        keys = [*plane.folder.glob("*.key"), plane.kubeconfig]
        assert keys
        assert {file.stat().st_mode & 0o077 for file in keys} == {0}
        with (
            socket.create_connection(("127.0.0.1", plane.port)) as connection,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            ssl.create_default_context().wrap_socket(connection, server_hostname="127.0.0.1")
        with socket.create_connection(("127.0.0.1", plane.port)) as connection:
            strict = ssl.create_default_context(cafile=plane.folder / "ca.crt")
            strict.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 and newer is by itself
            strict.wrap_socket(connection, server_hostname="127.0.0.1").close()
    finally:
        plane.stop()
    assert not [pid for pid in pids if os.path.exists(f"/proc/{pid}")]


RUN = """
import json, time
from tests.cluster.control_plane import ControlPlane
plane = ControlPlane().start()
running = [process.pid for process in plane.processes.running.values()]
print(json.dumps([str(plane.folder), *running]), flush=True)
time.sleep(600)
"""


def alive(pid: int) -> bool:
    """Whether it runs; one that nobody collected does not."""
    try:
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_nothing_is_left_after_a_kill() -> None:
    with subprocess.Popen([sys.executable, "-c", RUN], cwd=ROOT, stdout=subprocess.PIPE) as run:
        assert run.stdout
        folder, *pids = json.loads(run.stdout.readline())
        run.kill()
    assert len(pids) == 2
    end = time.monotonic() + 30
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < end
        time.sleep(0.1)
    # The folder waits for the next run.
    assert Path(folder).exists()
    Workspace().close()
    assert not Path(folder).exists()
