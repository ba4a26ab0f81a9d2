# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read from podman, what differs, and what an interrupted or failed replacement leaves."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman import service
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.actions import Actions
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.client import (
    PodmanClient,
    PodmanError,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.containers import ContainerBackend

INSPECTED: dict[str, Any] = {
    "Id": "c1",
    "Image": "sha256:i1",
    "RestartCount": 0,
    "State": {"Status": "running", "StartedAt": "t1", "ExitCode": 0},
    "Config": {
        "Labels": {
            "io.private-ai.chatbot": "managed",
            "io.private-ai.chatbot.spec": "d1",
            "io.private-ai.chatbot.rendered": "{}",
        }
    },
    "NetworkSettings": {"Networks": {"n": {"IPAddress": "10.0.0.2"}}},
}
DESIRED = service.Desired(
    {"name": "web", "image": "x", "networks": [{"name": "n", "ip": "10.0.0.2"}]}, "{}", "d1", "i1"
)


def seen(**changes: Any) -> service.Observed:
    observed = service.observe(INSPECTED)
    assert observed is not None
    return observed._replace(**changes)


def test_as_wanted() -> None:
    assert not service.plan(seen(), DESIRED, "started").needed


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"digest": "d2"}, "other settings"),
        ({"digest": ""}, "other settings"),
        ({"image_id": "i2"}, "another image"),
        ({"addresses": {"n": "10.0.0.3"}}, "10.0.0.3 on n instead of 10.0.0.2"),
        ({"addresses": {}}, "not on network n"),
        ({"addresses": {"n": "10.0.0.2", "m": "10.1.0.2"}}, "network m"),
        ({"systemd_unit": "web.service"}, "web.service"),
    ],
)
def test_drift_that_replaces(changes: dict[str, Any], reason: str) -> None:
    plan = service.plan(seen(**changes), DESIRED, "started")
    assert plan.replace and plan.start
    assert reason in plan.reasons[0]


@pytest.mark.parametrize("status", ["exited", "created", "paused", "stopped"])
def test_not_running_is_started_not_replaced(status: str) -> None:
    plan = service.plan(seen(status=status, addresses={"n": ""}), DESIRED, "started")
    assert (plan.replace, plan.start, plan.stop) == (False, True, False)


def test_stopped() -> None:
    assert service.plan(seen(), DESIRED, "stopped").stop
    assert not service.plan(seen(status="exited"), DESIRED, "stopped").needed
    missing = service.plan(None, DESIRED, "stopped")
    assert missing.replace and not missing.start


class Podman:
    """A stand-in for podman with containers by name, on which each named command may fail."""

    def __init__(self, containers: dict[str, str], failing: str = "") -> None:
        self.containers = containers
        self.failing = failing
        self.log: list[str] = []

    def __call__(self, argv: list[str], **_options: Any) -> tuple[int, str, str]:
        words = argv[1:]
        if words[:2] == ["container", "inspect"]:
            status = self.containers.get(words[2])
            if status is None:
                return 125, "[]", "Error: no such container"
            return 0, json.dumps([{**INSPECTED, "State": {"Status": status, "StartedAt": "t1"}}]), ""
        if words[:2] == ["network", "inspect"]:
            return 0, '[{"name": "n", "subnets": [{"subnet": "10.0.0.0/24"}]}]', ""
        if words[:2] == ["container", "exists"]:
            return (0 if words[2] in self.containers else 1), "", ""
        self.log.append(f"{words[0]} {words[-1]}")
        if self.failing and self.log[-1] == self.failing:
            self.failing = ""
            return 125, "", "Error: it failed"
        if words[0] == "rename":
            self.containers[words[2]] = self.containers.pop(words[1])
        elif words[0] == "create":
            self.containers["web"] = "created"
        elif words[0] in ("start", "stop") and words[-1] in self.containers:
            self.containers[words[-1]] = "running" if words[0] == "start" else "exited"
        elif words[0] == "rm":
            self.containers.pop(words[-1], None)
        return 0, "", ""


def backend(podman: Podman, check_mode: bool = False) -> ContainerBackend:
    return ContainerBackend(PodmanClient(podman), "web", Actions(check_mode))


def replace(podman: Podman, check_mode: bool = False, settle: float = 0.0) -> list[str]:
    acting = backend(podman, check_mode)
    observed = acting.read()
    steps = service.Plan(True, True, False, ["test"])
    acting.apply(steps, observed, DESIRED, settle, [])
    return acting.actions.done


def test_replacement_creates_the_new_before_it_stops_the_old() -> None:
    podman = Podman({"web": "running"})
    # A limit of 0 s would end the wait at once; 0.2 s lets the container count as up.
    actions = replace(podman, settle=0.2)
    assert podman.log == [
        "rename web-replaced",
        "create x",
        "stop web-replaced",
        "start web",
        "rm web-replaced",
    ]
    assert podman.containers == {"web": "running"}
    assert len(actions) == 5


@pytest.mark.parametrize("failing", ["create x", "start web", "stop web-replaced"])
def test_failed_replacement_brings_the_old_one_back(failing: str) -> None:
    podman = Podman({"web": "running"}, failing)
    with pytest.raises(PodmanError, match="from before runs again"):
        replace(podman, settle=0.2)
    assert podman.containers == {"web": "running"}
    assert "rename web" in podman.log


def test_check_mode_predicts_the_same_and_does_nothing() -> None:
    podman = Podman({"web": "running"})
    actions = replace(podman, check_mode=True)
    assert podman.log == []
    assert actions == replace(Podman({"web": "running"}), settle=0.2)


def test_first_start_that_fails_is_left_stopped() -> None:
    podman = Podman({}, "start web")
    with pytest.raises(PodmanError):
        replace(podman)
    assert podman.containers == {"web": "exited"}
    assert podman.log[-1] == "stop web"


@pytest.mark.parametrize(
    "containers, left",
    [
        ({"web-replaced": "running"}, {"web": "running"}),
        ({"web": "created", "web-replaced": "running"}, {"web": "created"}),
        ({"web": "running"}, {"web": "running"}),
    ],
)
def test_interrupted_replacement_is_repaired(containers: dict[str, str], left: dict[str, str]) -> None:
    podman = Podman(containers)
    backend(podman).recover()
    assert podman.containers == left


@pytest.mark.parametrize(
    "text, active, changes, needed",
    [
        ("unit", True, {}, False),
        (None, False, {}, True),
        ("other", True, {}, True),
        ("unit", False, {}, True),
        ("unit", True, {"status": "exited"}, True),
        ("unit", True, {"digest": "d2"}, True),
        ("unit", True, {"addresses": {}}, True),
    ],
)
def test_plan_of_a_unit(text: str | None, active: bool, changes: dict[str, Any], needed: bool) -> None:
    plan = service.plan_unit(text, "unit", seen(**changes), active, DESIRED, "started")
    assert plan.needed == needed
    assert plan.replace == (text != "unit")
