"""The stand-in `skupper` program against what the real one was seen to do, row by row.

With SKUPPER_TEST_BIN the same rows are put to that program: what it does is what the fixtures say.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from rows import Row, Seen, rows, scenarios

Play = Callable[[Row], list[Seen]]
FIXTURES = sorted(
    path.stem for path in (Path(__file__).parents[1] / "standins/skupper/fixtures").glob("files*.yaml")
)


@pytest.mark.parametrize("row", list(rows(*FIXTURES)), ids=str)
def test_row(row: Row, play: Play) -> None:
    """Status, both outputs, and every file that changed, with its mode where it was recorded."""
    step = scenarios(row.fixture)[row.scenario]["steps"][row.number]
    seen = play(row)[row.number]
    said = {key: seen[key] for key in ("exit", "stdout", "stderr")}
    if "stderr_begins" in step:
        # A usage text follows, whose words are the program's own.
        assert said.pop("stderr").startswith(step["stderr_begins"] + "\n")
    wanted_said = {"exit": step["exit"], "stdout": step.get("stdout", ""), "stderr": step.get("stderr", "")}
    assert said == {key: wanted_said[key] for key in said}
    wanted = step.get("files") or {}
    assert sorted(seen["files"]) == sorted(wanted)
    for path, file in wanted.items():
        assert (seen["files"][path] is None) == (file is None), path
        if file and file["content"] != "<any>":
            assert seen["files"][path]["content"] == file["content"], path
        if file and "mode" in file:
            assert seen["files"][path]["mode"] == file["mode"], path
    if "systemctl" in step:
        assert seen["systemctl"] == step["systemctl"]
