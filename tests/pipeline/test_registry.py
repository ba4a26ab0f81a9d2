"""Where a registry answers, the base of what is built here comes from it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.host import ROOT, Host
from tests.ports import free_ports
from tests.registry import serving

pytestmark = pytest.mark.extended

BASE = "localhost/private-ai/base:latest"
PULLED = "localhost/private-ai-test/pulled"


def podman(*words: str) -> str:
    """What Podman says."""
    done = subprocess.run(["podman", *words], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"podman {' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of one that this host is told to use without TLS, and nothing else."""
    address = f"127.0.0.1:{free_ports(1)[0]}"
    told = tmp_path / "registries.conf"
    told.write_text(f'[[registry]]\nlocation = "{address}"\ninsecure = true\n')
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(told))
    with serving(tmp_path, address):
        yield address


def pushed(image: str, name: str) -> None:
    """Have an image in the registry alone by that name."""
    podman("tag", image, name)
    podman("push", "--quiet", name)
    podman("untag", name, name)


def test_the_base_image_is_pulled(registry: str, tmp_path: Path) -> None:
    name = f"{registry}/library/base:1"
    pushed(BASE, name)
    host = Host(tmp_path)
    options = {
        "name": PULLED,
        "source": "registry",
        "image": name,
        "src": str(ROOT / "roles/private_model/files/images/base"),
        "runtime": "{{ __private_model_podman.runtime | default(omit, true) }}",
        "ulimits": "{{ __private_model_podman.ulimits }}",
    }
    how = {"name": "private_ai.chatbot.private_model", "tasks_from": "podman"}
    host.site.write_text(
        json.dumps(
            [
                {
                    "hosts": "private",
                    "tasks": [
                        {"ansible.builtin.import_role": how},
                        {"private_ai.chatbot.podman_base_image": options, "register": "made"},
                        {"ansible.builtin.debug": {"msg": "came from {{ made.source }}"}},
                    ],
                }
            ]
        )
    )
    try:
        status, said = host.play()
        assert status == 0 and "came from registry" in said, said[-3000:]
        # What was pulled is below what Python was added to.
        layers = [
            json.loads(podman("image", "inspect", "--format={{json .RootFS.Layers}}", one))
            for one in (BASE, f"{PULLED}:latest")
        ]
        assert layers[1][: len(layers[0])] == layers[0] and len(layers[1]) > len(layers[0])
        status, said = host.play()
        assert status == 0 and re.search(r"changed=0", said), said[-3000:]
    finally:
        podman("rmi", "--force", f"{PULLED}:latest", name)
