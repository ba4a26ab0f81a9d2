"""The stand-in `skupper` program on Kubernetes against what the real one was seen to do, row by row.

With SKUPPER_TEST_BIN the same rows are put to that program.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import kube_rows
from rows import Row, Seen, rows, scenarios

_played: dict[str, list[Seen]] = {}


@pytest.mark.parametrize("row", list(rows("kubernetes")), ids=str)
def test_row(row: Row, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Status, both outputs, and the files that it wrote."""
    if row.scenario not in _played:
        folder = tmp_path_factory.mktemp("play")
        _played[row.scenario] = kube_rows.play(row.fixture, row.scenario, folder)
    seen = _played[row.scenario][row.number]
    step = scenarios(row.fixture)[row.scenario]["steps"][row.number]
    said = {key: seen[key] for key in ("exit", "stdout", "stderr")}
    assert said == {"exit": step["exit"], "stdout": step.get("stdout", ""), "stderr": step.get("stderr", "")}
    assert seen["files"] == (step.get("files") or {})
