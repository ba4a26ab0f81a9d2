# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which backend keeps a service, what it depends on, and that its parts act in one order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman import reconcile
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.client import (
    PodmanClient,
    PodmanError,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.systemd import Systemd


class Manager(Systemd):
    """A stand-in for systemd."""

    def __init__(self, usable: bool, carries: bool = True) -> None:
        super().__init__(lambda argv, **_options: (1, "", f"not expected: {argv}"), 0)
        self._usable = usable
        self._carries = carries

    def usable(self) -> bool:
        return self._usable

    def carries_quadlet(self) -> bool:
        return self._carries


def client(version: tuple[int, int, int], runtime: str | None = None) -> PodmanClient:
    said = ".".join(map(str, version))
    return PodmanClient(lambda argv, **_options: (0, said, ""), runtime=runtime)


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
    monkeypatch.setattr(reconcile, "quadlet_generator", lambda: generator)
    assert reconcile.choose_backend(wanted, client(version, runtime), Manager(usable)) == expected


def test_user_on_version_1_of_control_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "quadlet_generator", lambda: "/g")
    assert reconcile.choose_backend("auto", client((5, 4, 2)), Manager(True, carries=False)) == "container"
    with pytest.raises(PodmanError, match="version 2 of the control groups"):
        reconcile.choose_backend("quadlet", client((5, 4, 2)), Manager(True, carries=False))


def test_backend_that_cannot_be_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "quadlet_generator", lambda: "/g")
    with pytest.raises(PodmanError, match=r"podman is 4.3.1 .* needs 4.4.0; use backend=container"):
        reconcile.choose_backend("quadlet", client((4, 3, 1)), Manager(True))


def test_podman_is_not_asked_for_its_version_where_that_decides_nothing() -> None:
    def refusing(argv: list[str], **_options: Any) -> tuple[int, str, str]:
        raise AssertionError(f"not expected: {argv}")

    for wanted, usable in (("container", True), ("auto", False)):
        assert reconcile.choose_backend(wanted, PodmanClient(refusing), Manager(usable)) == "container"


PARAMS = {
    "name": "web",
    "image": "localhost/web:1",
    "state": "started",
    "backend": "container",
    "runtime": None,
    "wait_timeout": 0.2,
    "ready_command": None,
    "secrets": [{"name": "key", "type": "mount"}],
}


class Podman:
    """A stand-in for podman with one container at most; ``missing`` are the objects it does not have."""

    def __init__(self, *missing: str, labels: dict[str, str] | None = None) -> None:
        self.missing = missing
        self.labels = labels
        self.orders: list[str] = []

    def __call__(self, argv: list[str], **_options: Any) -> tuple[int, str, str]:
        words = argv[1:]
        if words[0] == "container" and (words[1] == "exists" or self.labels is None):
            return 1, "[]", "Error: no such container"
        if words[0] in self.missing:
            return 125, "[]", f"Error: no such {words[0]}: no secret with name or id"
        if words[:2] == ["container", "inspect"]:
            state = {"Status": "running", "StartedAt": "t1"}
            return 0, json.dumps([{"Id": "c", "State": state, "Config": {"Labels": self.labels}}]), ""
        if words[:2] == ["image", "inspect"]:
            return 0, '[{"Id": "sha256:i1"}]', ""
        if words[:2] == ["secret", "inspect"]:
            return 0, '[{"ID": "s1"}]', ""
        if words[0] == "version":
            return 0, "5.4.2", ""
        self.orders.append(words[0])
        if words[0] == "create":
            self.labels = {"io.private-ai.chatbot": "managed"}
        return 0, "", ""


def reconciler(podman: Podman, tmp_path: Path, check_mode: bool = False, **params: Any) -> Any:
    return reconcile.Reconciler(
        PodmanClient(podman), Manager(False), str(tmp_path), {**PARAMS, **params}, check_mode
    )


def test_container_is_made_and_a_check_predicts_it(tmp_path: Path) -> None:
    predicted = reconciler(Podman(), tmp_path, check_mode=True).run()
    podman = Podman()
    done = reconciler(podman, tmp_path).run()
    assert podman.orders == ["create", "start"]
    assert done["actions"] == predicted["actions"] == ["create web", "start web"]
    assert done["diff"] == predicted["diff"] and done["spec_digest"] == predicted["spec_digest"]
    assert predicted["changed"] and predicted["container"] is None
    assert done["changed"] and done["container"]["status"] == "running"


@pytest.mark.parametrize(
    "missing, message", [("image", r"localhost/web:1 is not on this host"), ("secret", "key does not exist")]
)
def test_what_a_service_needs_is_there_or_is_predicted(tmp_path: Path, missing: str, message: str) -> None:
    podman = Podman(missing)
    with pytest.raises(PodmanError, match=message):
        reconciler(podman, tmp_path).run()
    assert podman.orders == []
    assert "(not made yet)" in reconciler(Podman(missing), tmp_path, check_mode=True).run()["diff"]["after"]


@pytest.mark.parametrize("state", ["started", "stopped", "absent"])
def test_container_of_somebody_else_is_left_alone(tmp_path: Path, state: str) -> None:
    podman = Podman(labels={})
    with pytest.raises(PodmanError, match="which this collection did not make"):
        reconciler(podman, tmp_path, state=state).run()
    assert podman.orders == []


def test_removal_of_unit_and_container_is_told_in_order(tmp_path: Path) -> None:
    (tmp_path / "web.container").write_text("the unit")
    podman = Podman(labels={"io.private-ai.chatbot": "managed"})
    predicted = reconciler(podman, tmp_path, check_mode=True, state="absent").run()
    assert predicted["actions"] == [f"remove {tmp_path}/web.container", "remove web"]
    assert predicted["diff"]["before"] == "the unit" and predicted["diff"]["after"] == ""
    assert podman.orders == [] and (tmp_path / "web.container").exists()


def test_failure_keeps_what_was_done_until_then(tmp_path: Path) -> None:
    class Broken(Podman):
        def __call__(self, argv: list[str], **options: Any) -> tuple[int, str, str]:
            if argv[1] == "start":
                return 125, "", "Error: no"
            return super().__call__(argv, **options)

    service = reconciler(Broken(), tmp_path)
    with pytest.raises(PodmanError):
        service.run()
    assert service.result["actions"] == ["create web", "start web"]
    assert service.result["backend"] == "container" and "diff" in service.result
