# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The arguments of a build, what is told when it fails, and the images that newer ones replaced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman import build
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.client import (
    PodmanClient,
    PodmanError,
)


def test_arguments() -> None:
    params = {
        "name": "localhost/x:1",
        "context": "/context",
        "containerfile": "/other/Containerfile",
        "ulimits": {"nproc": "5:5", "nofile": "9:9"},
        "volumes": ["/cache:/cache:rw"],
        "build_args": {"B": "a b; c", "A": "1"},
    }
    argv = build.build_argv(params, "abc", "/ca.pem")
    assert argv[:2] == ["build", "--layers=false"] and argv[-1] == "/context"
    assert "--tag=localhost/x:1" in argv and "--file=/other/Containerfile" in argv
    assert f"--label={build.INPUTS_LABEL}=abc" in argv and f"--label={build.NAME_LABEL}=localhost/x:1" in argv
    assert "--label=io.private-ai.chatbot=managed" in argv
    assert argv.index("--ulimit=nofile=9:9") < argv.index("--ulimit=nproc=5:5")
    assert f"--volume=/ca.pem:{build.CA_TARGET}:ro" in argv and "--volume=/cache:/cache:rw" in argv
    # One argument, whatever is in it.
    assert argv.index("--build-arg=A=1") < argv.index("--build-arg=B=a b; c")


def test_arguments_of_the_least() -> None:
    argv = build.build_argv({"name": "x:1", "context": "/c"}, "abc", None)
    assert not [one for one in argv if one.startswith(("--file", "--volume", "--ulimit", "--build-arg"))]


def test_bundle_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere.pem.*give the path of a PEM bundle"):
        build.host_ca_bundle(str(tmp_path / "nowhere.pem"))


def test_bundle_of_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "ca.pem"
    monkeypatch.setattr(build, "CA_BUNDLES", (str(tmp_path / "none"), str(mine)))
    assert build.host_ca_bundle(None) is None
    mine.touch()
    assert build.host_ca_bundle(None) == str(mine)


def client_of(answers: list[tuple[int, str, str]], calls: list[list[str]]) -> PodmanClient:
    def run(argv: list[str], **options: Any) -> tuple[int, str, str]:
        calls.append(argv)
        return answers.pop(0)

    return PodmanClient(run)


def test_only_images_without_a_user_are_former_ones() -> None:
    calls: list[list[str]] = []
    client = client_of([(0, "sha256:aa\nsha256:bb\nsha256:cc\n", ""), (0, "bb\nsha256:cc\n", "")], calls)
    assert build.former_images(client, "x:1") == ["sha256:aa"]
    assert "--filter=dangling=true" in calls[0] and f"--filter=label={build.NAME_LABEL}=x:1" in calls[0]
    # Containers of builds that are under way count, too.
    assert "--external" in calls[1] and "--all" in calls[1]


def test_without_former_images_nothing_else_is_asked() -> None:
    calls: list[list[str]] = []
    build.drop_former(client_of([(0, "", "")], calls), "x:1")
    assert len(calls) == 1


def test_former_images_are_removed_without_force() -> None:
    calls: list[list[str]] = []
    build.drop_former(client_of([(0, "sha256:aa\n", ""), (0, "", ""), (2, "", "in use")], calls), "x:1")
    assert calls[-1][1:] == ["image", "rm", "sha256:aa"]


def test_list_is_asked_again_when_an_image_went_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build.time, "sleep", lambda seconds: None)
    calls: list[list[str]] = []
    gone = (125, "", "Error: locating image with ID x: image not known")
    assert build.listed(client_of([gone, gone, (0, "a b", "")], calls), ["images"]) == ["a", "b"]
    del calls[:]
    with pytest.raises(PodmanError, match="image store is broken"):
        build.listed(client_of([(125, "", "image store is broken")] * 9, calls), ["images"])
    assert len(calls) == 2
