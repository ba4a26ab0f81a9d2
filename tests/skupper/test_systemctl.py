"""Parts of the stand-in for systemctl by themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

_loader = SourceFileLoader("standin_systemctl", str(Path(__file__).parent / "modules/bin/systemctl"))
_spec = spec_from_loader(_loader.name, _loader)
assert _spec
systemctl = module_from_spec(_spec)
_loader.exec_module(systemctl)


def test_a_process_that_ended_does_not_run() -> None:
    with subprocess.Popen([sys.executable, "-c", "print('ended')"], stdout=subprocess.PIPE) as process:
        assert systemctl.runs(os.getpid())
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not systemctl.runs(process.pid), "nobody has collected it"
    assert not systemctl.runs(process.pid)


def test_a_unit_whose_process_ends_while_it_is_stopped_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was there at the first look may be gone at the next."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    (tmp_path / "one.service").write_text(str(process.pid))
    monkeypatch.setattr(systemctl, "RUN", tmp_path)
    monkeypatch.setattr(systemctl, "pid_of", lambda unit: process.pid)
    monkeypatch.setattr(Path, "exists", lambda self: True)
    assert systemctl.stop("one.service") == 0
    monkeypatch.undo()
    assert not (tmp_path / "one.service").exists()
