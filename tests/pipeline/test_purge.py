"""`make down PURGE=1` removes all that was made; without it images, models and the key stay.

In a storage of Podman's own, because what it removes by name is what the other tests go on with.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.left import left
from tests.pipeline.host import ROOT, Host

pytestmark = pytest.mark.extended

IMAGES = [
    "ilab:0.26.1",
    "gateway:0.1.0",
    "trainer:0.26.1",
    "converter:0.3.36",
    "base:latest",
    "chatbot:0.1.0",
]
SECRETS = ["private-ai-inner-key", "private-ai-chatbot-api-key"]


class Storage:
    """A storage of Podman's own, with networks of its own."""

    def __init__(self, folder: Path) -> None:
        storage, containers = folder / "storage.conf", folder / "containers.conf"
        paths = {"graphroot": folder / "graph", "runroot": folder / "run"}
        lines = ["[storage]", 'driver = "vfs"', *(f'{name} = "{path}"' for name, path in paths.items())]
        storage.write_text("\n".join(lines))
        containers.write_text(f'[network]\nnetwork_config_dir = "{folder / "networks"}"\n')
        self.environment = {
            "CONTAINERS_STORAGE_CONF": str(storage),
            "CONTAINERS_CONF": str(containers),
        }

    def podman(self, *words: str, given: str = "") -> list[str]:
        """What Podman says there, in words."""
        done = subprocess.run(
            ["podman", *words],
            env={**os.environ, **self.environment},
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"podman {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout.split()

    def images(self) -> list[str]:
        """Names of the images."""
        return sorted(self.podman("images", "--format={{.Repository}}:{{.Tag}}"))


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    """What a quickstart would have made, as far as its removal is concerned."""
    made = Storage(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/file").touch()
    archive = tmp_path / "image.tar"
    subprocess.run(["tar", "-cf", archive, "-C", tmp_path / "empty", "file"], check=True)
    for name in IMAGES:
        made.podman("import", "--quiet", str(archive), f"localhost/private-ai/{name}")
    for name in ("private-ai-model", "private-ai-edge"):
        made.podman("network", "create", "--internal", name)
    for name in ("private-ai-model-1", "private-ai-gateway", "private-ai-chatbot"):
        ours = ["--label=io.private-ai.chatbot=managed", f"--name={name}"]
        made.podman("create", *ours, "localhost/private-ai/base:latest", "/file")
    for name in SECRETS:
        made.podman("secret", "create", name, "-", given="value")
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    yield made
    # Not `system reset`, which takes what all storages of a host share.
    made.podman("rm", "--all", "--force")


def test_what_stays_and_what_a_purge_removes(storage: Storage, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    host = Host(
        tmp_path,
        private_model_cache_dir=str(cache),
        private_model_backend="container",
        public_chatbot_backend="container",
        # Nothing is started, so it need not be found out how.
        __private_model_podman={"version": "4.0", "rootless": False},
    )
    sides: dict[str, Any] = {side: {"hosts": {"localhost": {}}} for side in ("private", "public")}
    host.inventory.write_text(json.dumps(sides | {"all": {"vars": host.variables}}))
    kept = [host.data / "api-key", host.data / "models/one/model.gguf", cache / "wheels/one.whl"]
    for path in [*kept, host.data / "gateway/haproxy.cfg"]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("pai_key-of-the-test\n")
    assert len(left(storage.environment)) == 3 + 2 + len(SECRETS)

    status, said = host.play(ROOT / "playbooks/teardown.yml")
    assert status == 0 and left(storage.environment) == [], said[-3000:]
    assert all(path.exists() for path in kept) and not (host.data / "gateway").exists()
    assert storage.images() == sorted(f"localhost/private-ai/{name}" for name in IMAGES)

    status, said = host.play(ROOT / "playbooks/teardown.yml", private_ai_purge=True)
    assert status == 0 and storage.images() == [], said[-3000:]
    assert not host.data.exists() and not cache.exists()
