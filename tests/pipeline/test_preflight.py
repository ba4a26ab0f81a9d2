"""What stops a run is found before anything is changed, and said with the value, the limit and the remedy."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.host import ROOT, Host, changed

PETABYTE = 10**15
ROLE = {"ansible.builtin.import_role": {"name": "private_ai.chatbot.private_model"}}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """This machine as the private side; its image is not there, as one that is needs no room to be built."""
    return Host(tmp_path, private_model_image="localhost/private-ai-test/not-there:1")


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def refused(host: Host, message: str, play: Path | None = None, **variables: Any) -> None:
    """A run of the whole role that ends with this message and has changed nothing."""
    status, said = host.play(play, **variables)
    assert status != 0 and re.search(message, said), said[-3000:]
    assert changed(said) == 0 and not host.data.exists(), said[-3000:]


def test_a_host_that_will_do_is_not_refused(host: Host) -> None:
    status, said = host.play(None, "--tags", "private_model_preflight")
    assert status == 0 and "Preflight | There is enough memory" in said, said[-3000:]
    assert changed(said) == 0 and not host.data.exists(), said[-3000:]


def test_too_little_disk_space(host: Host) -> None:
    refused(
        host,
        r"[\d.]+ [GT]B are free in /\S+, 909\.49 TB are needed to build the images\. "
        r"Remedy: free space there \(`podman system df`\), or lower private_model_min_free_bytes",
        private_model_min_free_bytes=PETABYTE,
    )


def test_too_little_memory(host: Host) -> None:
    refused(
        host,
        r"The host has [\d.]+ [GT]B of memory, 909\.49 TB are needed to build and serve\. "
        "Remedy: give the host more memory, .* lower private_model_min_memory_bytes",
        private_model_min_memory_bytes=PETABYTE,
    )


@pytest.mark.parametrize(
    "variable",
    [
        "private_model_gateway_port",
        pytest.param("private_model_gateway_metrics_port", marks=pytest.mark.extended),
    ],
)
def test_a_port_in_use(host: Host, taken: int, variable: str) -> None:
    # As where no gateway of ours runs, which may hold its own port.
    variables: dict[str, Any] = {variable: taken, "__private_model_running": []}
    refused(
        host,
        rf"Port {taken} on 127\.0\.0\.1 is in use by another program "
        rf"\(`ss -ltnp 'sport = :{taken}'` names it\)\. "
        rf"Remedy: stop that program or set {variable}\.",
        **variables,
    )


@pytest.mark.parametrize("variable", ["public_chatbot_port", "public_chatbot_metrics_port"])
def test_a_port_of_the_page_in_use_on_a_machine_for_both_sides(host: Host, taken: int, variable: str) -> None:
    """The private side is not touched for a page that could not be shown."""
    groups = json.loads(host.inventory.read_text())
    host.inventory.write_text(json.dumps({**groups, "public": {"hosts": {"localhost": {}}}}))
    refused(
        host,
        rf"Port {taken} on 127\.0\.0\.1 is in use by another program .* or set {variable}\.",
        ROOT / "playbooks/site.yml",
        **{variable: taken, "__public_chatbot_running": []},
    )


def test_an_architecture_without_support(host: Host) -> None:
    other = {"ansible.builtin.set_fact": {"architecture": "riscv64", "cacheable": True}}
    play = host.folder / "other.json"
    play.write_text(json.dumps([{"hosts": "private", "tasks": [other, ROLE]}]))
    refused(
        host,
        "riscv64 is not supported: llama.cpp is built here for x86_64 and aarch64. "
        "Remedy: use a host with one of these processors",
        play,
    )
