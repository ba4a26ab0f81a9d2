# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decisions of the podman modules that need no podman."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.client import (
    PodmanClient,
    PodmanError,
)
from ansible_collections.private_ai.chatbot.plugins.modules import (
    podman_network,
    podman_preflight,
    podman_secret,
    podman_service,
)


class Manager:
    """A stand-in for systemd."""

    rootless = False

    def __init__(self, usable: bool, carries: bool = True) -> None:
        self._usable = usable
        self._carries = carries

    def usable(self) -> bool:
        return self._usable

    def carries_quadlet(self) -> bool:
        return self._carries


@pytest.mark.parametrize(
    "wanted, version, runtime, usable, generator, expected",
    [
        ("auto", (5, 4, 2), None, True, "/g", "quadlet"),
        ("auto", (5, 4, 2), "runc", True, "/g", "quadlet"),
        ("auto", (4, 4, 0), None, True, "/g", "quadlet"),
        # GlobalArgs, which carries the runtime, came with 4.8.
        ("auto", (4, 7, 0), "runc", True, "/g", "container"),
        ("auto", (4, 3, 1), None, True, "/g", "container"),
        ("auto", (5, 4, 2), None, False, "/g", "container"),
        ("auto", (5, 4, 2), None, True, None, "container"),
        ("container", (5, 4, 2), None, True, "/g", "container"),
    ],
)
def test_backend(
    monkeypatch: pytest.MonkeyPatch,
    wanted: str,
    version: tuple[int, int, int],
    runtime: str | None,
    usable: bool,
    generator: str | None,
    expected: str,
) -> None:
    monkeypatch.setattr(podman_service, "quadlet_generator", lambda: generator)
    assert podman_service.choose_backend(wanted, version, runtime, Manager(usable)) == expected


def test_user_on_version_1_of_control_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(podman_service, "quadlet_generator", lambda: "/g")
    assert podman_service.choose_backend("auto", (5, 4, 2), None, Manager(True, carries=False)) == "container"
    with pytest.raises(PodmanError, match="version 2 of the control groups"):
        podman_service.choose_backend("quadlet", (5, 4, 2), None, Manager(True, carries=False))


def test_backend_that_cannot_be_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(podman_service, "quadlet_generator", lambda: "/g")
    with pytest.raises(PodmanError, match=r"podman is 4.3.1 .* needs 4.4.0; use backend=container"):
        podman_service.choose_backend("quadlet", (4, 3, 1), None, Manager(True))


@pytest.mark.parametrize("helped, expected", [("--replace", 1), ("--env", 2)])
def test_secret_is_replaced_as_podman_can(helped: str, expected: int) -> None:
    calls: list[list[str]] = []

    def run(argv: list[str], **options: Any) -> tuple[int, str, str]:
        if "--help" in argv:
            return 0, helped, ""
        calls.append(argv)
        assert "hunter2" not in " ".join(argv)
        return 0, "", ""

    podman_secret.store(PodmanClient(run), "s", "hunter2", exists=True)
    assert len(calls) == expected
    assert ("--replace" in calls[-1]) == (helped == "--replace")


def test_containers_of_others_are_never_removed() -> None:
    calls: list[list[str]] = []

    def run(argv: list[str], **options: Any) -> tuple[int, str, str]:
        calls.append(argv)
        return 0, '[{"Names": ["theirs"], "Labels": {}}]', ""

    with pytest.raises(PodmanError, match="theirs"):
        podman_network.clear(PodmanClient(run), "n", force=True, check_mode=False)
    assert all("rm" not in argv for argv in calls)


@pytest.mark.parametrize(
    "line, shared",
    [
        ("22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw", True),
        ("22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw", False),
        ("22 1 8:1 / / rw,relatime master:1 - ext4 /dev/sda1 rw", False),
    ],
)
def test_root_is_shared(line: str, shared: bool) -> None:
    text = f"21 22 0:20 / /sys rw shared:7 - sysfs sysfs rw\n{line}\n"
    assert podman_preflight.root_is_shared(text) == shared
