"""The distribution's registry of images, without TLS, for one test."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.cluster.processes import found
from tests.gateway.gateway_stack import wait_until


@contextmanager
def serving(folder: Path, address: str, auth: dict[str, Any] | None = None) -> Iterator[None]:
    """Run it.

    :param folder: where its images and its log are.
    :param address: `host:port`.
    :param auth: its section of this name; without it, it asks for no credentials.
    """
    settings: dict[str, Any] = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}},
        "http": {"addr": address, "secret": "of-the-test"},
    }
    (folder / "registry.yml").write_text(yaml.safe_dump(settings | ({"auth": auth} if auth else {})))
    with (folder / "registry.log").open("wb") as log:
        command = [found("docker-registry", "docker-registry"), "serve", str(folder / "registry.yml")]
        process = subprocess.Popen(command, stdout=log, stderr=log)

    def answers() -> bool:
        try:
            status = httpx.get(f"http://{address}/v2/", trust_env=False).status_code
        except httpx.TransportError:
            return False
        return status == (401 if auth else 200)

    try:
        wait_until(answers, 60, "the registry answers")
        yield
    finally:
        process.kill()
        process.wait()
