"""The collection as a user gets it: built from this tree, installed offline, far away from the repository."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


@dataclass
class Place:
    """A directory of its own with a home of its own: nothing of the repository or of the user reaches it."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def run(self, program: str, *arguments: str, cwd: Path | None = None) -> str:
        """Run a program of the virtual environment; return what it said, AssertionError on failure."""
        done = subprocess.run(
            [str(BIN / program), *arguments],
            cwd=cwd or self.folder,
            env={
                "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
                "LANG": "C.UTF-8",
                "HOME": str(self.folder),
                **self.env,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{program} {' '.join(arguments)}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive that `make build` makes."""
    place = Place(tmp_path_factory.mktemp("build"))
    place.run("ansible-galaxy", "collection", "build", "--output-path", str(place.folder), cwd=ROOT)
    (built,) = place.folder.glob("*.tar.gz")
    return built


@pytest.fixture(scope="session")
def names(archive: Path) -> set[str]:
    """Names of the files in the archive."""
    with tarfile.open(archive) as content:
        return {member.name for member in content.getmembers() if member.isfile()}


@pytest.fixture(scope="session")
def installed(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place where the archive is installed, with dependencies only from the `ansible` package."""
    folder = tmp_path_factory.mktemp("installed")
    place = Place(folder, {"ANSIBLE_COLLECTIONS_PATH": str(folder / "collections")})
    target = str(folder / "collections")
    place.run("ansible-galaxy", "collection", "install", "--offline", "-p", target, str(archive))
    (folder / "inventory.yml").write_text("private: {hosts: {one: {}}}\npublic: {hosts: {one: {}}}\n")
    return place
