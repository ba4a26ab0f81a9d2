# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of the control node travel only when the module asks for them."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman import context
from ansible_collections.private_ai.chatbot.plugins.plugin_utils.making import MakingAction

WANTED = {"changed": False, "context_wanted": True}


class Action(MakingAction):
    """The plugin with a stand-in for the host: a directory, and a module that answers as told."""

    def __init__(self, host: Path, answers: list[dict[str, Any]], **args: Any) -> None:
        task = SimpleNamespace(
            args=args, async_val=0, check_mode=False, diff=False, action="x", any_errors_fatal=0
        )
        shell = SimpleNamespace(join_path=lambda *parts: "/".join(parts), tmpdir=None)
        connection = SimpleNamespace(_shell=shell, transport="local")
        super().__init__(task, connection, SimpleNamespace(), None, None, None)
        self.host, self.answers, self.calls = host, answers, list[dict[str, Any]]()

    def _find_needle(self, dirname: str, needle: str) -> str:
        return needle

    def _execute_module(self, module_args: dict[str, Any], **_options: Any) -> dict[str, Any]:
        self.calls.append(dict(module_args))
        return dict(self.answers.pop(0))

    def _make_tmp_path(self, remote_user: str | None = None) -> str:
        self._connection._shell.tmpdir = str(self.host)
        return str(self.host)

    def _transfer_file(self, local_path: str, remote_path: str) -> None:
        Path(remote_path).write_bytes(Path(local_path).read_bytes())

    def _fixup_perms2(self, remote_paths: Any, remote_user: str | None = None, execute: bool = True) -> None:
        self.shared = remote_paths


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    (folder / "app").mkdir(parents=True)
    (folder / "Containerfile").write_text("FROM x\n")
    (folder / "app" / "main").write_text("x")
    (folder / "notes").write_text("not for the image")
    return folder


@pytest.fixture
def host(tmp_path: Path) -> Path:
    folder = tmp_path / "host"
    folder.mkdir()
    return folder


def test_nothing_travels_while_the_image_is_current(files: Path, host: Path) -> None:
    action = Action(host, [{"changed": False, "image": {}}], src=str(files), name="x:1")
    assert action.run(task_vars={}) == {"changed": False, "image": {}}
    assert len(action.calls) == 1 and list(host.iterdir()) == []
    listed = [entry[:2] for entry in action.calls[0]["_manifest"]]
    assert listed == [
        ["directory", "app"],
        ["file", "Containerfile"],
        ["file", "notes"],
        ["file", "app/main"],
    ]


def test_files_travel_when_they_are_asked_for(files: Path, host: Path) -> None:
    chosen = {"files": ["app", "./Containerfile"], "exclude": ["app/main"]}
    action = Action(host, [WANTED, {"changed": True}], src=str(files), name="x:1", **chosen)
    assert action.run(task_vars={}) == {"changed": True}
    archive = action.calls[1]["_archive"]
    assert action.shared == (str(host), archive), "they are made readable for the user who runs the module"
    assert action.calls[0]["_manifest"] == action.calls[1]["_manifest"]
    unpacked = host / "unpacked"
    unpacked.mkdir()
    context.unpack(archive, [context.Entry(*one) for one in action.calls[1]["_manifest"]], str(unpacked))
    assert sorted(path.name for path in unpacked.rglob("*")) == ["Containerfile", "app"]


def test_temporary_directory_of_the_host_is_made_once(files: Path, host: Path, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    action = Action(host, [WANTED, {"changed": True}], src=str(files), name="x:1")
    action._connection._shell.tmpdir = str(tmp_path / "made")
    action.run(task_vars={})
    assert action.calls[1]["_archive"] == f"{tmp_path}/made/context.tar" and list(host.iterdir()) == []


@pytest.mark.parametrize("args", [{"context": "/on/the/host"}, {"src": "/nowhere", "state": "absent"}])
def test_without_files_of_the_control_node(host: Path, args: dict[str, Any]) -> None:
    action = Action(host, [{"changed": False}], name="x:1", **args)
    assert action.run(task_vars={}) == {"changed": False}
    assert action.calls == [{"name": "x:1", **args}]


@pytest.mark.parametrize(
    "args, message",
    [
        ({"files": ["none"]}, "there is no 'none' in"),
        ({"files": "app"}, "files is 'app'; it must be a list"),
        ({"exclude": [1]}, r"exclude is \[1\]; it must be a list"),
        ({"_manifest": []}, "_manifest is not an option; use src"),
        ({"_archive": "/x"}, "_archive is not an option; use src"),
    ],
)
def test_refused(files: Path, host: Path, args: dict[str, Any], message: str) -> None:
    action = Action(host, [], src=str(files), name="x:1", **args)
    result = action.run(task_vars={})
    assert result["failed"] and action.calls == []
    assert re.search(message, result["msg"])
