"""How the skupper command comes into the execution environment: by address, from a file, or not at all."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).parents[2] / "execution-environment/install-skupper.py"


def archive(name: str = "skupper") -> bytes:
    """What a release holds."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = 9
        tar.addfile(entry, io.BytesIO(b"#!/bin/sh"))
    return buffer.getvalue()


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program in a directory of its own, which installs into it."""
    copy = tmp_path / "install.py"
    copy.write_text(PROGRAM.read_text(encoding="utf-8"), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("install", copy)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "TARGET", tmp_path / "bin-skupper")
    for name in ("SKUPPER_URL", "SKUPPER_SHA256"):
        monkeypatch.delenv(name, raising=False)
    return module


def test_by_address(program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "release.tgz").write_bytes(archive())
    monkeypatch.setenv("SKUPPER_URL", (tmp_path / "release.tgz").as_uri())
    assert program.main() == 1, "an address without a checksum is refused"
    monkeypatch.setenv("SKUPPER_SHA256", "0" * 64)
    assert program.main() == 1, "another archive is refused"
    assert not program.TARGET.exists()
    monkeypatch.setenv("SKUPPER_SHA256", hashlib.sha256(archive()).hexdigest().upper())
    assert program.main() == 0
    assert program.TARGET.read_bytes() == b"#!/bin/sh" and program.TARGET.stat().st_mode & 0o777 == 0o755


def test_from_a_file_beside_it(program: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "skupper.tgz").write_bytes(archive())
    assert program.main() == 0 and program.TARGET.exists()


def test_another_archive(program: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "skupper.tgz").write_bytes(archive("something-else"))
    assert program.main() == 1 and not program.TARGET.exists()
    assert "holds no file skupper" in capsys.readouterr().err


def test_without_either(program: ModuleType) -> None:
    assert program.main() == 0 and not program.TARGET.exists()
