"""The execution environment: built by ansible-builder; ansible-runner runs playbooks in it as AWX does.

The base is the image that the collection builds from the distribution's packages, so that no registry is
needed. AWX's way: an unprivileged user of group 0, no terminal, a read-only project, inventory, extra
variables and a private SSH key as files, other credentials by their types (environment, files, variables), a
new container and an empty directory for each job, and artefacts of one job as variables of the next.
TEST_EE_IMAGE names an image that is built already, with the stand-in of skupper in it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.client import Client, connected
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.api import connect

from tests.cluster.fixtures import Api, api
from tests.skupper.on_kubernetes.cluster import install_crds
from tests.standins.skupper import archive
from tests.standins.skupper.controller import Controller, Options
from tests.systemd_host.conftest import VERSIONS
from tests.systemd_host.machine import GIVEN, Machine, build_image, until

__all__ = ["api"]
ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
BASE = os.environ.get("EE_BASE_IMAGE", "localhost/private-ai/base:latest")
OPTIONS = os.environ.get("PODMAN_RUN_ARGS", "").split()
#: The runtime is named before the command of Podman, limits after it.
RUNTIME = OPTIONS[:2] if OPTIONS[:1] == ["--runtime"] else []
LIMITS = OPTIONS[len(RUNTIME) :]
SECRET = "hf_secretOfTheEnvironment01"
KEY = "k3y-of-the-credential-that-nobody-may-see"
CHATBOT = "localhost/private-ai/chatbot:0.1.0"
#: Where a node exporter would read.
TEXTFILES = "/var/lib/prometheus/node-exporter"
NAMESPACE = "t-environment"
NODES = DataLoader().load_from_file(str(ROOT / "playbooks/vars/awx.yml"))["awx_setup_nodes"]


def call(*command: str, cwd: Path = ROOT, limit: float = 1800) -> str:
    """Run a command; what it said, AssertionError when it fails."""
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=limit, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout + done.stderr


def podman(*arguments: str, limit: float = 600) -> str:
    """Run Podman with the runtime that works here."""
    return call("podman", *RUNTIME, *arguments, limit=limit)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's files, as AWX gets them by git."""
    folder = tmp_path_factory.mktemp("project") / "project"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.split("\0"):
        if name and ((ROOT / name).is_file() or (ROOT / name).is_symlink()):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            # The collection finds itself by a link.
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    return folder


@pytest.fixture(scope="session")
def image(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The execution environment."""
    ready = os.environ.get("TEST_EE_IMAGE")
    if ready:
        yield ready
        return
    context = tmp_path_factory.mktemp("context")
    given = archive.write(project / "execution-environment/skupper.tgz")
    call(str(BIN / "ansible-galaxy"), "collection", "build", "--output-path", "dist", cwd=project)
    create = ["create", "--file", "execution-environment.yml", "--context", str(context)]
    call(str(BIN / "ansible-builder"), *create, "--output-filename", "Containerfile", cwd=project)
    shutil.rmtree(project / "dist")
    given.unlink()
    name = f"localhost/private-ai-tests/ee:{uuid.uuid4().hex[:8]}"
    mounts = [path for path in ("/etc/pip.conf", "/etc/ssl/certs") if Path(path).exists()]
    podman(
        "build",
        # One layer for each stage, and nothing left when the image is removed.
        "--layers=false",
        *LIMITS,
        *(f"--volume={path}:{path}:ro" for path in mounts),
        f"--build-arg=EE_BASE_IMAGE={BASE}",
        f"--file={context / 'Containerfile'}",
        f"--tag={name}",
        str(context),
        limit=1800,
    )
    yield name
    podman("rmi", "--force", name)


class Job:
    """One job as AWX makes it: a private data directory, and a container that runs it."""

    def __init__(self, folder: Path, project: Path, image: str) -> None:
        self.folder, self.project, self.image = folder, project, image

    def run(
        self,
        playbook: str,
        hosts: dict[str, Any],
        variables: dict[str, Any],
        *,
        options: str = "",
        files: dict[str, str] | None = None,
        environment: dict[str, str] | None = None,
        network: str = "none",
    ) -> tuple[str, str]:
        """Status and output.

        :param options: of ansible-playbook, as a template's limit and tags become them.
        :param files: more files below the private data directory: an SSH key, what a credential holds.
        :param environment: what credentials put there.
        """
        texts = {
            "env/extravars": yaml.safe_dump(variables),
            "env/settings": yaml.safe_dump({"job_timeout": 900}),
            "env/envvars": yaml.safe_dump(
                {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOST_KEY_CHECKING": "False", **(environment or {})}
            ),
            "env/cmdline": options,
            "inventory/hosts": yaml.safe_dump(hosts),
            **(files or {}),
        }
        shutil.rmtree(self.folder, ignore_errors=True)
        for name, text in texts.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for path in [self.folder, *self.folder.rglob("*")]:
            path.chmod(0o770 if path.is_dir() else 0o660)
            os.chown(path, 1000, 0)
        done = subprocess.run(
            [
                "podman",
                *RUNTIME,
                "run",
                "--rm",
                *LIMITS,
                f"--network={network}",
                "--user=1000:0",
                "--cap-drop=all",
                f"--env=HF_TOKEN={SECRET}",
                f"--volume={self.folder}:/runner",
                f"--volume={self.project}:/runner/project:ro",
                self.image,
                "ansible-runner",
                "run",
                "/runner",
                "--ident=job",
                f"--playbook={playbook}",
            ],
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        artifacts = self.folder / "artifacts/job"
        return (artifacts / "status").read_text(), done.stdout + done.stderr

    def stats(self) -> dict[str, Any]:
        """What set_stats left for the next job of a workflow."""
        found: dict[str, Any] = {}
        for text in self.events():
            found |= json.loads(text).get("event_data", {}).get("artifact_data") or {}
        return found

    def events(self) -> list[str]:
        """All that AWX keeps of the job."""
        return [path.read_text() for path in (self.folder / "artifacts/job/job_events").glob("*.json")]


@pytest.fixture
def job(tmp_path: Path, project: Path, image: str) -> Job:
    """A job of its own."""
    return Job(tmp_path / "runner", project, image)


LOCAL = {"hosts": {"here": {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}}}


def test_it_holds_what_playbooks_need(image: str) -> None:
    run = ["run", "--rm", *LIMITS, "--network=none", "--user=1000:0", image]
    listed = podman(*run, "ansible-galaxy", "collection", "list")
    for name in ("private_ai.chatbot", "kubernetes.core", "containers.podman"):
        assert name in listed
    podman(*run, "python3", "-c", "import kubernetes, jmespath, huggingface_hub")
    podman(*run, "ansible-doc", "private_ai.chatbot.solution_info")
    podman(*run, "ansible-runner", "--version")
    # From the file beside it; with the stand-in's words, which are those of the real one.
    assert "2.2.1" in podman(*run, "skupper", "version")


def test_status_runs_and_leaves_an_artefact(job: Job) -> None:
    # A credential comes as an extra variable, too.
    variables = {"status_format": "json", "private_model_huggingface_token": SECRET}
    status, said = job.run("playbooks/status.yml", {"private": LOCAL, "public": LOCAL}, variables)
    assert status == "successful", said
    report = job.stats()["private_ai_status"]
    assert set(report["halves"]) == {"private", "public"}
    assert SECRET not in said + "".join(job.events())


def test_arguments_of_a_survey_are_refused_before_a_host_is_touched(job: Job) -> None:
    away = {"hosts": {"far": {"ansible_host": "198.51.100.9"}}}
    hosts = {"private": away, "public": away}
    status, said = job.run("playbooks/site.yml", hosts, {"private_model_source": "floppy"})
    assert status == "failed"
    assert (
        "value of private_model_source must be one of: demo, gguf, directory, huggingface, got: floppy"
        in said
    )
    assert "UNREACHABLE" not in said


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A host with systemd, reached by SSH, that has the images."""
    build_image()
    one = Machine(tmp_path, VERSIONS[0], [*GIVEN.values(), CHATBOT])
    try:
        one.start()
        one.load("root")
        yield one
    finally:
        one.stop()
        shutil.rmtree(tmp_path, ignore_errors=True)


def test_a_workflow_deploys_to_a_host_by_ssh(job: Job, machine: Machine) -> None:
    """From deploy to tear down: what one job leaves for the next are artefacts, and nothing else."""
    host = {
        "ansible_host": "127.0.0.1",
        "ansible_port": int(machine.port),
        "ansible_user": "root",
        "ansible_python_interpreter": "/usr/bin/python3",
        "private_model_replicas": 1,
        "private_model_min_memory_bytes": 500_000_000,
        "private_model_monitoring": True,
        "private_model_monitoring_textfile_directory": TEXTFILES,
        "public_chatbot_image": CHATBOT,
        **GIVEN,
    }
    hosts = {side: {"hosts": {"model-host": host}} for side in ("private", "public")}
    # As the credential type of the gateway's key injects it.
    given: dict[str, Any] = {"private_model_api_keys": [KEY], "public_chatbot_api_key": KEY}
    artefacts: dict[str, Any] = {}
    said = ""

    def play(playbook: str, **more: Any) -> None:
        nonlocal artefacts, said
        status, output = job.run(
            f"playbooks/{playbook}.yml",
            hosts,
            given | artefacts | more,
            files={"env/ssh_key": (machine.folder / "key").read_text()},
            network="host",
        )
        assert status == "successful", output
        artefacts |= job.stats()
        said += output + "".join(job.events())

    for playbook in ("site", "verify", "status"):
        play(playbook)
    # A key that was given is nobody's to keep: neither it nor one of the role's own is in a file there.
    assert machine.run("root", "find", "/var/lib/private-ai", "-name", "api-key") == ""
    assert machine.run("root", "grep", "-rlF", KEY, "/var/lib/private-ai", check=False) == ""

    assert artefacts["private_ai_url"] == "http://127.0.0.1:8080/"
    verification = artefacts["private_ai_verification"]
    assert verification["ok"] and {"answer", "wrong key"} <= {one["name"] for one in verification["checks"]}
    status = artefacts["private_ai_status"]
    assert status["verification"] == verification and status["ok"]
    versions = artefacts["private_ai_versions"]["model-host"]
    assert {"podman", "haproxy", "chatbot", "instructlab", "llama-cpp-python"} <= set(versions)

    # Monitoring as a whole: the timer has run the collector, and Prometheus has all that it is told to read.
    until(lambda: machine.run("root", "cat", f"{TEXTFILES}/private-ai.prom", check=False))
    figures = machine.run("root", "cat", f"{TEXTFILES}/private-ai.prom")
    assert "private_ai_models_bytes " in figures and "private_ai_collected_timestamp_seconds " in figures
    service = ("systemctl", "show", "--property=Result", "private-ai-metrics.service")
    assert machine.run("root", *service) == "Result=success"

    play("support_bundle", support_bundle_path="/runner/bundle.tar.gz")
    assert artefacts["private_ai_support_bundle"] == "/runner/bundle.tar.gz"
    with tarfile.open(job.folder / "bundle.tar.gz") as bundle:
        files = [(member.name, bundle.extractfile(member)) for member in bundle.getmembers()]
        texts = {name.removeprefix("./"): file.read().decode() for name, file in files if file}
    assert "request_id" in texts["model-host/logs/private-ai-gateway.log"]
    assert KEY not in "".join(texts.values())

    play("teardown", private_ai_confirm=True)
    assert machine.left("root") == []
    assert machine.run("root", "ls", "/var/lib/prometheus") == ""
    assert KEY not in said and "PRIVATE KEY" not in said


def test_a_cluster_by_the_kubeconfig_of_a_credential(job: Job, api: Api) -> None:
    """The workflow's step of the public side, as its template is told to run it."""
    kubeconfig = api.kubeconfig.read_text()
    host = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "/usr/bin/python3",
        "public_chatbot_platform": "kubernetes",
        "public_chatbot_namespace": NAMESPACE,
        "public_chatbot_image": "registry.example.com/chat/chatbot@sha256:" + "0" * 64,
        "public_chatbot_host": "chat.example.com",
        "public_chatbot_exposure": "loadbalancer",
        # There are no nodes.
        "public_chatbot_wait": False,
        "public_chatbot_monitoring": True,
        "skupper_site_platform": "kubernetes",
        "skupper_site_name": "ilab-chat",
        "skupper_site_namespace": NAMESPACE,
        "skupper_site_listeners": [{"name": "instructlab", "port": 8000}],
    }
    private = {"hosts": {"far": {"ansible_host": "198.51.100.9"}}}
    (step,) = [one for one in NODES if one["name"] == "public"]
    client = connected(Client, {"kubeconfig": str(api.kubeconfig)})
    install_crds(connect({"kubeconfig": str(api.kubeconfig)}))
    with Controller(api.kubeconfig, Options(fast=True, namespaces=(NAMESPACE,))):
        status, said = job.run(
            "playbooks/site.yml",
            {"private": private, "public": {"hosts": {"cluster": host}}},
            {"public_chatbot_api_key": KEY},
            options=f"--limit {step['limit']} --skip-tags {step['skip_tags']}",
            files={"env/kubeconfig": kubeconfig},
            environment=dict.fromkeys(("KUBECONFIG", "K8S_AUTH_KUBECONFIG"), "/runner/env/kubeconfig"),
            network="host",
        )
    assert status == "successful", said
    assert KEY not in said + "".join(job.events())
    # Through the command in the image: there is no other way to a listener.
    kinds = f"/apis/skupper.io/v2alpha1/namespaces/{NAMESPACE}"
    conditions = client.request("GET", f"{kinds}/sites/ilab-chat")["status"]["conditions"]
    assert "Ready" in {one["type"] for one in conditions if one["status"] == "True"}
    assert client.request("GET", f"{kinds}/listeners/instructlab")["spec"]["port"] == 8000
    deployment = client.request("GET", f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/chatbot")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == host["public_chatbot_image"]
    dashboard = client.request("GET", f"/api/v1/namespaces/{NAMESPACE}/configmaps/private-ai-dashboard")
    assert dashboard["data"]
    assert "private_ai_url" in job.stats()


def test_nothing_is_left_in_the_project(job: Job) -> None:
    before = sorted(path.relative_to(job.project) for path in job.project.rglob("*"))
    job.run("playbooks/status.yml", {"private": LOCAL}, {})
    assert sorted(path.relative_to(job.project) for path in job.project.rglob("*")) == before
