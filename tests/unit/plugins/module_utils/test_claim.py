# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run has it at a time; who has ended, or was silent for too long, is passed over."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils import claim
from ansible_collections.private_ai.chatbot.plugins.module_utils.store import empty_state
from ansible_collections.private_ai.chatbot.plugins.modules import model_claim

ONE, OTHER = ({"id": name, "pid": pid, "host": "control"} for name, pid in (("one", 1), ("other", 2)))


def test_one_at_a_time(tmp_path: Path) -> None:
    """The same run may take it twice; nobody gives back what another one has."""
    claim.take(str(tmp_path), ONE)
    claim.take(str(tmp_path), ONE)
    assert stat.S_IMODE((tmp_path / claim.NAME).stat().st_mode) == 0o600
    with pytest.raises(
        claim.Held, match=r"another run \(process 1 on control, for 0 s\).*wait until it"
    ) as told:
        claim.take(str(tmp_path), OTHER)
    assert told.value.holder == ONE
    claim.give_back(str(tmp_path), OTHER)
    with pytest.raises(claim.Held):
        claim.take(str(tmp_path), OTHER)
    claim.give_back(str(tmp_path), ONE)
    claim.give_back(str(tmp_path), ONE)
    assert list(tmp_path.iterdir()) == []
    claim.take(str(tmp_path), OTHER)


def test_a_run_that_has_ended_is_passed_over(tmp_path: Path) -> None:
    """Only the one that was seen to: another one may have taken it since."""
    claim.take(str(tmp_path), ONE)
    with pytest.raises(claim.Held):
        claim.take(str(tmp_path), OTHER, ended="a third")
    claim.take(str(tmp_path), OTHER, ended="one")
    with pytest.raises(claim.Held, match="process 2"):
        claim.take(str(tmp_path), ONE)


@pytest.mark.parametrize("later", [claim.LIFE, -60])
def test_nothing_lasts_for_ever(tmp_path: Path, later: int) -> None:
    """Neither a run that nobody can see, nor one of a time to come."""
    claim.take(str(tmp_path), ONE, now=lambda: 1000.0)
    with pytest.raises(claim.Held):
        claim.take(str(tmp_path), OTHER, now=lambda: 999.0 + claim.LIFE)
    claim.take(str(tmp_path), OTHER, now=lambda: 1000.0 + later)


@pytest.mark.parametrize(
    "content", ["", "[]", '{"format": 1, "run": 1, "since": 1}', '{"format": 1, "run": {}}']
)
def test_a_damaged_file_holds_nobody_up(tmp_path: Path, content: str) -> None:
    (tmp_path / claim.NAME).write_text(content)
    claim.take(str(tmp_path), ONE)
    with pytest.raises(claim.Held):
        claim.take(str(tmp_path), OTHER)


class Module:
    """A stand-in for AnsibleModule."""

    def __init__(self, path: Path, check_mode: bool = False, **params: Any) -> None:
        defaults = {name: option.get("default") for name, option in model_claim.ARGUMENTS.items()}
        self.params = {**defaults, "path": str(path), "_run": ONE, **params}
        self.check_mode = check_mode


def run(path: Path, check_mode: bool = False, **params: Any) -> list[str]:
    """The module's work; which files there are then."""
    model_claim.run(Module(path, check_mode, **params))
    return sorted(entry.name for entry in path.iterdir())


def test_the_module_takes_and_gives_back(tmp_path: Path) -> None:
    assert run(tmp_path, check_mode=True) == []
    assert run(tmp_path) == [claim.NAME]
    assert run(tmp_path, check_mode=True, state="absent") == [claim.NAME]
    assert run(tmp_path, state="absent") == []
    with pytest.raises(ValueError, match="needs its action plugin"):
        run(tmp_path, _run=None)


def test_what_is_served_must_be_what_the_run_saw(tmp_path: Path) -> None:
    """Otherwise another run was between the look and this."""
    new, old = "b" * 64, "a" * 64
    assert run(tmp_path, serves="") == [claim.NAME]
    run(tmp_path, state="absent")
    with pytest.raises(ValueError, match=r"put nothing in the place of aaaaaaaaaaaa, .*run it again"):
        run(tmp_path, serves=old)
    (tmp_path / "models").mkdir()
    state = {**empty_state(), "current": {"sha256": new, "name": "x"}}
    (tmp_path / "models/served.json").write_text(json.dumps(state))
    with pytest.raises(ValueError, match="put bbbbbbbbbbbb in the place of aaaaaaaaaaaa"):
        run(tmp_path, serves=old)
    assert not (tmp_path / claim.NAME).exists(), "it was kept though nothing will be done"
    with pytest.raises(ValueError, match="put bbbbbbbbbbbb in the place of nothing"):
        run(tmp_path, serves="")
    run(tmp_path, serves=new.upper())
    run(tmp_path)
