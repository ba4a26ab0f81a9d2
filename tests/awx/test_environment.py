"""The execution environment: built by ansible-builder; ansible-runner runs playbooks in it as AWX does.

The base is the image that the collection builds from the distribution's packages, so that no registry is
needed. AWX's way: an unprivileged user of group 0, no terminal, a read-only project, inventory and extra
variables as files, credentials in the environment. TEST_EE_IMAGE names an image
that is built already.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
BASE = os.environ.get("EE_BASE_IMAGE", "localhost/private-ai/base:latest")
OPTIONS = os.environ.get("PODMAN_RUN_ARGS", "").split()
#: The runtime is named before the command of Podman, limits after it.
RUNTIME = OPTIONS[:2] if OPTIONS[:1] == ["--runtime"] else []
LIMITS = OPTIONS[len(RUNTIME) :]
SECRET = "hf_secretOfTheEnvironment01"


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
    call(str(BIN / "ansible-galaxy"), "collection", "build", "--output-path", "dist", cwd=project)
    create = ["create", "--file", "execution-environment.yml", "--context", str(context)]
    call(str(BIN / "ansible-builder"), *create, "--output-filename", "Containerfile", cwd=project)
    shutil.rmtree(project / "dist")
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

    def run(self, playbook: str, hosts: dict[str, Any], variables: dict[str, Any]) -> tuple[str, str]:
        """Status and output."""
        for name, content in {
            "env/extravars": variables,
            "env/settings": {"job_timeout": 300},
            "env/envvars": {"ANSIBLE_NOCOLOR": "1"},
            "inventory/hosts": hosts,
        }.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(yaml.safe_dump(content))
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
                "--network=none",
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
            timeout=900,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        artifacts = self.folder / "artifacts/job"
        return (artifacts / "status").read_text(), done.stdout + done.stderr

    def stats(self) -> dict[str, Any]:
        """What set_stats left for the next job of a workflow."""
        found: dict[str, Any] = {}
        for path in (self.folder / "artifacts/job/job_events").glob("*.json"):
            event = json.loads(path.read_text())
            found |= event.get("event_data", {}).get("artifact_data") or {}
        return found


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


def test_status_runs_and_leaves_an_artefact(job: Job) -> None:
    # A credential comes as an extra variable, too.
    variables = {"status_format": "json", "private_model_huggingface_token": SECRET}
    status, said = job.run("playbooks/status.yml", {"private": LOCAL, "public": LOCAL}, variables)
    assert status == "successful", said
    report = job.stats()["private_ai_status"]
    assert set(report["halves"]) == {"private", "public"}
    events = job.folder / "artifacts/job/job_events"
    assert SECRET not in said + "".join(path.read_text() for path in events.glob("*.json"))


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


def test_nothing_is_left_in_the_project(job: Job) -> None:
    before = sorted(path.relative_to(job.project) for path in job.project.rglob("*"))
    job.run("playbooks/status.yml", {"private": LOCAL}, {})
    assert sorted(path.relative_to(job.project) for path in job.project.rglob("*")) == before
