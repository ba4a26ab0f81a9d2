"""What the stand-ins offer to other tests: the launcher, the sandbox, the definitions of the kinds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from rows import STANDINS
from skupper import sandbox
from skupper.model import crds
from skupper.model.kinds import CLI_VERSION, KINDS

LAUNCHER = STANDINS / "skupper/bin/skupper"


def test_launcher_runs_from_the_path(tmp_path: Path) -> None:
    """As a link in a directory of the PATH, from any directory, with the environment's own Python."""
    (tmp_path / "skupper").symlink_to(LAUNCHER)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "SKUPPER_STANDIN_PYTHON": sys.executable}
    done = subprocess.run(
        ["skupper", "version"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{CLI_VERSION}\n"


@pytest.mark.parametrize("container", [False, True])
def test_sandbox_leaves_nothing_behind(tmp_path: Path, container: bool) -> None:
    """It says whether this is a container, shares what it is told to, and keeps the rest to itself."""
    name = f"/var/lib/skupper-{tmp_path.name}"
    script = f"test ! -e {name}; mkdir {name}; test -e /.dockerenv && echo yes >found || echo no >found"
    command = sandbox.command(["sh", "-ec", script], container=container, share=[tmp_path])
    subprocess.run(command, cwd=tmp_path, check=True)
    assert not Path(name).exists()
    assert (tmp_path / "found").read_text() == ("yes\n" if container else "no\n")


def test_sandbox_goes_on_where_it_was(tmp_path: Path) -> None:
    """What was written with `keep` is there the next time."""
    for script in ("echo one >/etc/kept", "grep -q one /etc/kept"):
        subprocess.run(sandbox.command(["sh", "-ec", script], keep=tmp_path), check=True)
    assert not Path("/etc/kept").exists()


def test_small_definitions(monkeypatch: pytest.MonkeyPatch) -> None:
    """One for each kind, each with a schema and a status of its own."""
    monkeypatch.delenv("SKUPPER_TEST_CRDS", raising=False)
    made = {one["spec"]["names"]["kind"]: one for one in crds.definitions()}
    assert sorted(made) == sorted(KINDS)
    listener = made["Listener"]["spec"]["versions"][0]
    schema = listener["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert schema["required"] == ["routingKey", "host", "port"]
    assert schema["properties"]["port"] == {"type": "integer"}
    assert listener["subresources"] == {"status": {}}


def test_definitions_of_a_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those of a directory instead, and a clear word when it has none."""
    monkeypatch.setenv("SKUPPER_TEST_CRDS", str(tmp_path))
    with pytest.raises(ValueError, match=str(tmp_path)):
        crds.definitions()
    one = crds.definition(KINDS["Site"])
    (tmp_path / "site.yaml").write_text(json.dumps(one), encoding="utf-8")
    assert crds.definitions() == [one]
