# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When the preflight asks, when it answers from memory, and what it never remembers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.preflight import Problem
from ansible_collections.private_ai.chatbot.plugins.modules import podman_preflight

FACTS = {"version": "4.3.1", "graph_root": "/", "graph_root_free_mb": 1, "runtime": "runc"}
NOTE = Problem("slow", "be patient", False)
FAULT = Problem("broken", "repair it", True)


class Module:
    """A stand-in for AnsibleModule."""

    def __init__(self, cache: Path | None = None, check_mode: bool = False, path: str | None = "/") -> None:
        self.params: dict[str, Any] = {"executable": "podman", "runtimes": [], "cache_file": None}
        if cache:
            self.params["cache_file"] = str(cache)
        self.check_mode = check_mode
        self.path = path
        self.warnings: list[str] = []

    def get_bin_path(self, name: str) -> str | None:
        return self.path

    def run_command(self, argv: list[str], **options: Any) -> tuple[int, str, str]:
        raise AssertionError(f"nothing is to be run, not {argv}")

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def surveys(monkeypatch: pytest.MonkeyPatch) -> list[list[Problem]]:
    """What the next surveys find besides the facts; each takes one."""
    coming: list[list[Problem]] = []

    class Survey:
        tried: tuple[Any, ...] = ()

        def __init__(self, *_args: object) -> None:
            self.problems = coming.pop(0)

        def run(self) -> dict[str, Any]:
            return dict(FACTS)

    monkeypatch.setattr(podman_preflight, "Survey", Survey)
    return coming


def test_asked_once(tmp_path: Path, surveys: list[list[Problem]]) -> None:
    surveys.append([])
    first = podman_preflight.run(Module(tmp_path / "cache"))
    again = podman_preflight.run(Module(tmp_path / "cache"))
    assert first["podman"] == FACTS and again["podman"]["runtime"] == "runc"
    assert not first["changed"] and not again["changed"] and surveys == []


@pytest.mark.parametrize("check_mode, problems", [(True, []), (False, [NOTE])])
def test_not_remembered(
    tmp_path: Path, surveys: list[list[Problem]], check_mode: bool, problems: list[Problem]
) -> None:
    surveys.append(problems)
    podman_preflight.run(Module(tmp_path / "cache", check_mode))
    assert not (tmp_path / "cache").exists()


def test_blocking_problems_come_first(surveys: list[list[Problem]]) -> None:
    surveys.append([NOTE, FAULT])
    found = podman_preflight.run(Module())["problems"]
    assert [problem["what"] for problem in found] == ["broken", "slow"]


def test_memory_that_cannot_be_written_is_no_failure(tmp_path: Path, surveys: list[list[Problem]]) -> None:
    (tmp_path / "file").touch()
    surveys.append([])
    module = Module(tmp_path / "file" / "cache")
    assert podman_preflight.run(module)["podman"] == FACTS
    assert "cannot be remembered" in module.warnings[0]


def test_no_podman() -> None:
    found = podman_preflight.run(Module(path=None))
    assert found["podman"] is None and found["problems"][0]["blocking"]
    assert "apt install podman" in found["problems"][0]["remedy"]
