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
    podman_secret,
)


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
