# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which run this is, which other one has ended, and what the module is told of both."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.action.model_claim import ActionModule
from ansible_collections.private_ai.chatbot.plugins.plugin_utils import runs


def test_all_tasks_of_a_run_are_one_run() -> None:
    """Each runs in a process of its own, below the one that is the run."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        below = pool.apply(runs.this)
    assert below == runs.this() and below["pid"] == os.getpid() and below["started"]


def test_a_run_that_was_killed_has_ended() -> None:
    """Also one whose number another process has now, or that nobody has asked for yet."""
    own = runs.this()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        other = {**own, "pid": process.pid, "started": runs.started(process.pid)}
        assert other["started"] and not runs.ended(other, own)
        assert runs.ended({**other, "started": "1"}, own)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert runs.ended(other, own)
    assert runs.ended(other, own) and not runs.ended(own, own)


@pytest.mark.parametrize("where", [["another boot", "pid:[1]"], None, ["", ""]])
def test_nothing_is_known_of_other_machines(where: Any) -> None:
    own = runs.this()
    assert not runs.ended({**own, "where": where, "started": "1"}, own)
    assert not runs.ended({**own, "where": where, "started": "1"}, {**own, "where": ["", ""]})


class Action(ActionModule):
    """The plugin with a module that answers as told."""

    def __init__(self, answers: list[dict[str, Any]], **args: Any) -> None:
        task = SimpleNamespace(
            args=args, async_val=0, check_mode=False, diff=False, action="x", any_errors_fatal=0
        )
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None), transport="local")
        super().__init__(task, connection, SimpleNamespace(), None, None, None)
        self.answers, self.calls = answers, list[dict[str, Any]]()

    def _execute_module(self, module_args: dict[str, Any], **_options: Any) -> dict[str, Any]:
        self.calls.append(dict(module_args))
        return dict(self.answers.pop(0))


def test_the_module_is_asked_again_when_the_other_run_has_ended() -> None:
    own = runs.this()
    gone = {**own, "id": "gone", "started": "1"}
    action = Action([{"failed": True, "holder": gone}, {"changed": False}], path="/srv")
    assert action.run() == {"changed": False}
    assert action.calls == [{"path": "/srv", "_run": own}, {"path": "/srv", "_run": own, "_ended": "gone"}]
    for holder in (own, {**gone, "where": ["elsewhere", "pid:[1]"]}, None):
        refused = {"failed": True, "msg": "no", **({"holder": holder} if holder else {})}
        assert Action([refused], path="/srv").run() == refused


def test_what_only_the_plugin_knows_is_no_option() -> None:
    assert "is not an option" in Action([], path="/srv", _ended="x").run()["msg"]
