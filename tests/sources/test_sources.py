"""Where a model may come from, and what may be wrong with it, on a host that serves one already.

Run by molecule's scenario private_model, which has converted and served a directory in the form of Hugging
Face (PRIVATE_MODEL_PATH) in PRIVATE_MODEL_DATA. The tests build on each other.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.pipeline.host import DEMO, Host, Visitor, cdi_device, changed, demo_files
from tests.standins.hub.repository import Repository
from tests.standins.hub.serve import StandInHub

GGUF = (DEMO / "demo.gguf").read_bytes()
ILAB = "localhost/private-ai/ilab:0.26.1"
TOOLS = ("localhost/private-ai/converter:0.3.36", "localhost/private-ai/trainer:0.26.1")


def podman(*words: str) -> str:
    """What podman says."""
    return subprocess.run(["podman", *words], capture_output=True, text=True, check=True).stdout


def renamed(letter: str) -> bytes:
    """The demo model under another name inside: another model, whose answers are the same."""
    return GGUF.replace(b"general.name", b"general.nam" + letter.encode(), 1)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """The scenario's host, asked for one answer before a model is promoted."""
    own = {
        "private_model_data_dir": os.environ["PRIVATE_MODEL_DATA"],
        "private_model_evaluation_questions": "",
    }
    return Host(tmp_path_factory.mktemp("sources"), **own, private_model_promotion="smoke")


@pytest.fixture(scope="module")
def hub() -> Iterator[StandInHub]:
    """A stand-in Hub."""
    with StandInHub() as running:
        yield running


def place(host: Host, name: str, content: bytes) -> dict[str, Any]:
    """A GGUF file of the owner's, and the variables that name it."""
    path = host.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return {"private_model_source": "gguf", "private_model_path": str(path)}


def refused(host: Host, reason: str, **variables: Any) -> None:
    """A run with these variables fails for this reason, and what was served goes on."""
    before = host.served()
    status, said = host.play(**variables)
    assert status != 0 and reason in said, said[-3000:]
    assert host.served() == before and "model" in host.ask().lower()


def test_a_directory_as_hugging_face_has_it(host: Host) -> None:
    assert host.served()["current"]["name"] == "model"
    assert (host.data / "converted/model.gguf").is_file() and "model" in host.ask().lower()


def test_a_file(host: Host) -> None:
    content = renamed("a")
    own = place(host, "own.gguf", content)
    status, said = host.play(**own, private_model_sha256=hashlib.sha256(content).hexdigest())
    assert status == 0 and host.served()["current"]["name"] == "own", said[-3000:]
    assert "model" in host.ask().lower()


def test_a_directory_with_a_file(host: Host) -> None:
    own = place(host, "ready/ready.gguf", renamed("b"))
    folder = {**own, "private_model_source": "directory", "private_model_path": str(host.folder / "ready")}
    status, said = host.play(**folder)
    assert status == 0 and host.served()["current"]["name"] == "ready", said[-3000:]
    place(host, "ready/second.gguf", GGUF)
    refused(host, "exactly one GGUF file", **folder)


def test_a_ready_file_on_the_hub_for_two_replicas(host: Host, hub: StandInHub) -> None:
    """Two replicas are replaced one after the other; nobody is sent away, and nothing else is fetched."""
    repository = hub.add(Repository("example/ready"))
    repository.commit({"small-Q8_0.gguf": renamed("c"), "small-F16.gguf": GGUF, "README.md": b"a"})
    own = {
        "private_model_source": "huggingface",
        "private_model_huggingface_endpoint": hub.url,
        "private_model_huggingface_repository": "example/ready",
        "private_model_huggingface_revision": repository.refs["main"],
        "private_model_huggingface_file": "small-Q8_0.gguf",
    }
    status, said = host.play(**place(host, "own.gguf", renamed("a")), private_model_replicas=2)
    assert status == 0, said[-3000:]
    with Visitor(host) as visitor:
        status, said = host.play(**own, private_model_replicas=2)
    assert status == 0 and host.served()["current"]["name"] == "small-Q8_0", said[-3000:]
    assert visitor.answers and not visitor.failures, visitor.failures[:3]
    folder = host.data / "sources/example--ready"
    assert sorted(path.name for path in folder.iterdir()) == [".snapshot.json", "small-Q8_0.gguf"]
    replicas = podman("ps", "--filter=name=private-ai-model", "--format={{.Names}}").split()
    assert sorted(replicas) == ["private-ai-model-1", "private-ai-model-2"]
    status, said = host.play(**own, private_model_replicas=2)
    assert status == 0 and changed(said) == 0, said[-3000:]


def test_a_host_whose_python_lacks_the_client(host: Host, hub: StandInHub) -> None:
    """An environment of the role's own, made once, with checksums; broken, it is made anew."""
    hub.add(Repository("example/whole")).commit(demo_files())
    own = {
        "private_model_source": "huggingface",
        "private_model_huggingface_endpoint": hub.url,
        "private_model_huggingface_repository": "example/whole",
        "private_model_huggingface_revision": "main",
    }
    has_it = subprocess.run(["/usr/bin/python3", "-c", "import huggingface_hub"], check=False).returncode == 0
    assert not has_it, "the host's own Python has huggingface_hub; this test needs one without"
    # In the inventory: given on the command line it would win over that of the one task.
    (host.folder / "other").mkdir()
    other = {**host.variables, "ansible_python_interpreter": "/usr/bin/python3"}
    host = Host(host.folder / "other", **other)
    status, said = host.play(**own)
    assert status == 0 and host.served()["current"]["name"] == "whole", said[-3000:]
    assert (host.data / "hub-python/bin/python").exists() and "Install huggingface_hub into it" in said
    status, said = host.play(**own)
    assert status == 0 and changed(said) == 0, said[-3000:]
    (host.data / "hub-python/bin/python").unlink()
    status, said = host.play(**own)
    assert status == 0 and "Install huggingface_hub into it" in said, said[-3000:]


@pytest.fixture
def device() -> Iterator[str]:
    """A device by its CDI name."""
    with cdi_device() as name:
        yield name


def test_devices(host: Host, device: str) -> None:
    """A device by its CDI name reaches the model server, whose layers all go to it."""
    own = {
        **place(host, "own.gguf", renamed("a")),
        "private_model_devices": [device],
    }
    refused(host, "computes on the processor", **own)
    status, said = host.play(**own, private_model_image=ILAB)
    assert status == 0, said[-3000:]
    found = json.loads(podman("inspect", "private-ai-model-1"))[0]
    assert "--gpu-layers -1" in " ".join(found["Config"]["Cmd"])
    # What is run beside it later gets the container's own variables only.
    seen = podman("exec", "private-ai-model-1", "python3", "-c", "print(open('/proc/1/environ').read())")
    assert "PRIVATE_AI_TEST_DEVICE=arrived" in seen and "model" in host.ask().lower()
    other = {
        **own,
        "private_model_image": ILAB,
        "private_model_devices": ["example.com/private-ai-test=none"],
    }
    refused(host, "name example.com/private-ai-test=all. Remedy", **other)


def test_tools_go_when_they_are_not_kept(host: Host) -> None:
    """The image that converted is removed when asked, and not missed while nothing has to be converted."""
    own: dict[str, Any] = {
        "private_model_source": "directory",
        "private_model_path": os.environ["PRIVATE_MODEL_PATH"],
        "private_model_keep_tools": False,
    }
    there = [name for name in TOOLS if name in podman("images", "--format={{.Repository}}:{{.Tag}}").split()]
    for name in there:
        podman("tag", name, f"{name}-kept")
    try:
        status, said = host.play(**own)
        assert status == 0 and host.served()["current"]["name"] == "model", said[-3000:]
        listed = podman("images", "--format={{.Repository}}:{{.Tag}}").split()
        assert not {*TOOLS} & {*listed}
        status, said = host.play(**own)
        assert status == 0 and changed(said) == 0, said[-3000:]
    finally:
        for name in there:
            podman("tag", f"{name}-kept", name)
            podman("rmi", f"{name}-kept")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda content: content[:-1000], "cannot be served"),
        (lambda content: b"PK" + content[2:], "it is not a GGUF file"),
        (lambda content: content.replace(b"qwen2", b"qwen9"), "cannot be served"),
    ],
    ids=["cut", "another format", "unknown architecture"],
)
def test_a_file_that_cannot_be_served(host: Host, spoil: Any, reason: str) -> None:
    refused(host, reason, **place(host, "bad.gguf", spoil(renamed("d"))))


def test_another_checksum_than_said(host: Host) -> None:
    refused(
        host, "expected is " + "0" * 64, **place(host, "e.gguf", renamed("e")), private_model_sha256="0" * 64
    )


def test_weights_that_load_and_answer_nothing(host: Host) -> None:
    """The header is right, what follows is zeros: only the trial finds out."""
    content = renamed("f")
    hollow = content[: len(content) // 3] + bytes(len(content) - len(content) // 3)
    refused(host, "answered without a word", **place(host, "hollow.gguf", hollow))
    assert "private-ai-trial" not in podman("ps", "--all")


def test_a_repository_that_lies(host: Host, hub: StandInHub) -> None:
    repository = hub.add(Repository("example/liar"))
    repository.commit(demo_files())
    repository.file("model.safetensors").faults.flipped = True
    own = {
        "private_model_source": "huggingface",
        "private_model_huggingface_endpoint": hub.url,
        "private_model_huggingface_repository": "example/liar",
        "private_model_huggingface_revision": "main",
    }
    refused(host, "model.safetensors", **own)
    refused(host, "example/gone", **{**own, "private_model_huggingface_repository": "example/gone"})
    assert not (host.data / "sources/example--liar/model.safetensors").exists()


def test_an_architecture_that_the_converter_does_not_know(host: Host) -> None:
    folder = host.folder / "unknown"
    folder.mkdir()
    for name, content in demo_files().items():
        (folder / name).write_bytes(content.replace(b"Qwen2ForCausalLM", b"OwnForCausalLM"))
    own = {"private_model_source": "directory", "private_model_path": str(folder)}
    refused(host, "OwnForCausalLM", **own)


def test_nothing_there(host: Host) -> None:
    refused(host, "needs private_model_path", private_model_source="gguf")
    own = {"private_model_source": "gguf", "private_model_path": "/nowhere/model.gguf"}
    refused(host, "there is no such file", **own)
