# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client against a stand-in for run_command that records its calls."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.client import (
    PodmanClient,
    PodmanError,
    parse_version,
)


class Recorder:
    """Answers by the words after podman's global options, and keeps what it was called with."""

    def __init__(self, answers: dict[str, tuple[int, str, str]]) -> None:
        self.answers = answers
        self.calls: list[tuple[list[str], dict[str, Any]]] = []

    def __call__(self, argv: list[str], **options: Any) -> tuple[int, str, str]:
        self.calls.append((argv, options))
        return next((answer for key, answer in self.answers.items() if key in " ".join(argv)), (0, "", ""))


def test_runtime_is_an_option_of_podman_itself() -> None:
    recorder = Recorder({})
    PodmanClient(recorder, runtime="runc").run(["run", "a b", "$x"])
    assert recorder.calls[0][0] == ["podman", "--runtime", "runc", "run", "a b", "$x"]


def test_data_travel_by_standard_input_unchanged() -> None:
    recorder = Recorder({})
    PodmanClient(recorder).run(["secret", "create", "x", "-"], data="grün")
    argv, options = recorder.calls[0]
    assert options["data"] == "grün".encode()
    # Without it Ansible adds a newline, which would become part of the secret.
    assert options["binary_data"] is True
    assert "grün" not in " ".join(argv)


def test_failure_carries_the_evidence() -> None:
    recorder = Recorder({"start": (125, "out", "first\nError: no such container x\n")})
    with pytest.raises(PodmanError, match="no such container x") as caught:
        PodmanClient(recorder).run(["start", "x"])
    assert caught.value.as_result() == {
        "msg": caught.value.message,
        "cmd": "podman start x",
        "rc": 125,
        "stdout": "out",
        "stderr": "first\nError: no such container x\n",
    }


@pytest.mark.parametrize("status", [124, 137])
def test_limit_of_time(status: int) -> None:
    recorder = Recorder({"build": (status, "", "")})
    with pytest.raises(PodmanError, match="within 3 s"):
        PodmanClient(recorder).run(["build", "."], timeout=3, check=False)
    assert recorder.calls[0][0][:4] == ["timeout", "--kill-after=5", "3", "podman"]


def test_inspect_present() -> None:
    recorder = Recorder({"image inspect": (0, json.dumps([{"Id": "1"}]), "")})
    assert PodmanClient(recorder).inspect("image", "x") == {"Id": "1"}


@pytest.mark.parametrize(
    "kind, answers",
    [
        ("container", {"inspect": (125, "[]", "Error: x"), "exists": (1, "", "")}),
        # Made again by systemd between the two questions.
        ("container", {"inspect": (125, "[]", "Error: no such container x"), "exists": (0, "", "")}),
        ("secret", {"inspect": (125, "[]", "Error: inspecting secret: no such secret")}),
        # Podman 4.3.1 and 5 word it differently.
        ("secret", {"inspect": (125, "[]", 'Error: no secret with name or id "x": no such secret')}),
    ],
)
def test_inspect_absent(kind: str, answers: dict[str, tuple[int, str, str]]) -> None:
    assert PodmanClient(Recorder(answers)).inspect(kind, "x") is None


@pytest.mark.parametrize(
    "kind, answers",
    [
        ("container", {"inspect": (125, "[]", "Error: database is locked"), "exists": (125, "", "")}),
        ("secret", {"inspect": (125, "[]", "Error: permission denied")}),
        ("image", {"inspect": (0, "no json", "")}),
    ],
)
def test_inspect_broken_is_not_absent(kind: str, answers: dict[str, tuple[int, str, str]]) -> None:
    with pytest.raises(PodmanError):
        PodmanClient(Recorder(answers)).inspect(kind, "x")


@pytest.mark.parametrize(
    "text, version",
    [
        ("4.3.1\n", (4, 3, 1)),
        ("5.0.0-dev", (5, 0, 0)),
        ("podman version 5.4", (5, 4, 0)),
        ("4.9.4-rhel", (4, 9, 4)),
    ],
)
def test_parse_version(text: str, version: tuple[int, int, int]) -> None:
    assert parse_version(text) == version


def test_version_is_asked_once() -> None:
    recorder = Recorder({"version": (0, "4.3.1\n", "")})
    client = PodmanClient(recorder)
    assert client.version() == client.version() == (4, 3, 1)
    assert len(recorder.calls) == 1
