"""The fixtures of the Hub's tests: a stand-in Hub, and the module that is run against it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.harness import NAME, Repository, Runner, StandInHub, content

#: Larger than all buffers on the way, so that what was sent and what was kept differ visibly.
LARGE = 6_000_000


@pytest.fixture
def hub() -> Iterator[StandInHub]:
    """A stand-in Hub without repositories."""
    with StandInHub() as running:
        yield running


@pytest.fixture
def files() -> dict[str, bytes]:
    """A model as repositories have it: small text files, weights, directories, and two equal files."""
    return {
        ".gitattributes": b"*.safetensors filter=lfs\n",
        "README.md": b"# A model\n",
        "config.json": b'{"model_type": "qwen2"}',
        "model.safetensors": content(LARGE),
        "figures/one.png": content(50_000, 2),
        "figures/same.png": content(50_000, 2),
        "notes/empty.txt": b"",
    }


@pytest.fixture
def repository(hub: StandInHub, files: dict[str, bytes]) -> Repository:
    """The repository with its first commit."""
    repository = hub.add(Repository(NAME))
    repository.commit(files)
    return repository


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory in memory where there is one: the module waits for every file to be on the disk."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory, prefix="private-ai-test-") as path:
        (Path(path) / "work").mkdir()
        yield Path(path) / "work"


@pytest.fixture
def run(hub: StandInHub, repository: Repository, folder: Path) -> Runner:
    """Runs the module: `run(revision=...)`."""
    assert repository.commits
    return Runner(hub, folder)
