# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decisions of the modules for images that need no podman."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.build import INPUTS_LABEL
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.client import (
    PodmanClient,
    PodmanError,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.context import pack, scan
from ansible_collections.private_ai.chatbot.plugins.modules import podman_base_image, podman_image

DEBIAN = {"ID": "debian", "VERSION_CODENAME": "bookworm"}
ROCKY = {"ID": "rocky", "ID_LIKE": "rhel", "PRETTY_NAME": "Rocky Linux 9"}


class Images(PodmanClient):
    """A stand-in for podman's images, and for the registries that it is configured for."""

    def __init__(self, found: dict[str, dict[str, Any]] | None = None) -> None:
        super().__init__(lambda argv, **_options: (1, "", f"not expected: {argv}"))
        self.found = found or {}
        self.registries: dict[str, Any] = {}

    def inspect(self, kind: str, name: str) -> dict[str, Any] | None:
        return self.found.get(name)

    def run_json(self, args: Sequence[str], **_options: Any) -> Any:
        return self.registries


def image(identity: str, inputs: str = "") -> dict[str, Any]:
    return {"Id": identity * 64, "Labels": {INPUTS_LABEL: inputs}}


@pytest.fixture
def params(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "Containerfile").write_text("FROM x\n")
    return {
        "context": str(tmp_path),
        "src": None,
        "containerfile": None,
        "base_image": None,
        "build_args": None,
    }


def test_containerfile(tmp_path: Path, params: dict[str, Any]) -> None:
    assert podman_image.containerfile_of(params) == str(tmp_path / "Containerfile")
    (tmp_path / "Containerfile").rename(tmp_path / "Dockerfile")
    assert podman_image.containerfile_of(params) == str(tmp_path / "Dockerfile")
    assert podman_image.containerfile_of({**params, "containerfile": str(tmp_path / "none")}) is None


def test_inputs_see_the_base_the_arguments_and_a_containerfile_elsewhere(
    tmp_path_factory: pytest.TempPathFactory, params: dict[str, Any]
) -> None:
    other = tmp_path_factory.mktemp("other") / "Containerfile"
    other.write_text("FROM y\n")
    one = Images({"base:1": image("a")})
    variants = [
        (Images(), params),
        (Images(), {**params, "build_args": {"A": "1"}}),
        (one, {**params, "base_image": "base:1"}),
        (Images({"base:1": image("b")}), {**params, "base_image": "base:1"}),
        (Images(), {**params, "containerfile": str(other)}),
    ]
    digests = [podman_image.wanted_inputs(images, wanted, None, False)[0] for images, wanted in variants]
    other.write_text("FROM z\n")
    digests.append(podman_image.wanted_inputs(*variants[-1], None, False)[0])
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize(
    "change, what",
    [
        ({"context": "/nowhere"}, "context '/nowhere' is not a directory"),
        ({"containerfile": "/nowhere/File"}, "there is no '/nowhere/File'"),
        ({"base_image": "base:1"}, "the base image base:1 does not exist"),
    ],
)
def test_what_is_missing_fails_but_not_in_check_mode(
    params: dict[str, Any], change: dict[str, Any], what: str
) -> None:
    with pytest.raises(ValueError, match=what):
        podman_image.wanted_inputs(Images(), {**params, **change}, None, False)
    inputs, warnings = podman_image.wanted_inputs(Images(), {**params, **change}, None, True)
    assert inputs == "" and what in warnings[0]


@pytest.mark.parametrize(
    "name", ["localhost/x", "localhost/X:1", "x:1 y", "", "localhost:5000/x", "x@sha256:00", ":1"]
)
def test_names_that_are_refused(name: str) -> None:
    module = SimpleNamespace(params={"name": name, "timeout": 1}, check_mode=False)
    with pytest.raises(ValueError, match="with its tag"):
        podman_image.run(module, Images())


def test_files_of_the_control_node_count_as_those_of_the_host(tmp_path: Path, params: dict[str, Any]) -> None:
    (tmp_path / "Containerfile").chmod(0o644)
    entries = scan(str(tmp_path), portable=True)
    there = {**params, "context": None, "src": str(tmp_path)}
    on_host = podman_image.wanted_inputs(Images(), params, None, False)
    assert podman_image.wanted_inputs(Images(), there, entries, False) == on_host
    named = {**there, "containerfile": "Other"}
    with pytest.raises(ValueError, match="there is no 'Other' in"):
        podman_image.wanted_inputs(Images(), named, entries, False)


def image_module(tmp_path: Path, **params: Any) -> Any:
    defaults = {name: option.get("default") for name, option in podman_image.ARGUMENTS.items()}
    manifest = [list(entry) for entry in scan(str(tmp_path), portable=True)]
    own = {"name": "localhost/x:1", "src": str(tmp_path), "_manifest": manifest}
    return SimpleNamespace(params={**defaults, **own, **params}, check_mode=False, tmpdir=str(tmp_path))


@pytest.mark.usefixtures("params")
def test_files_of_the_control_node_are_asked_for_only_when_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = image_module(tmp_path)
    assert podman_image.run(module, Images()) == {"changed": False, "context_wanted": True}
    module.check_mode = True
    predicted = podman_image.run(module, Images())
    assert predicted["changed"] and predicted["image"] is None
    inputs = predicted["diff"]["after"]["inputs"]
    module.check_mode = False
    assert not podman_image.run(module, Images({"localhost/x:1": image("a", inputs)}))["changed"]


def test_build_from_what_was_handed_over(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, seen = tmp_path_factory.mktemp("files"), []
    (files / "Containerfile").write_text("FROM x\n")
    pack(str(files), scan(str(files), portable=True), str(tmp_path / "context.tar"))

    def build(module: Any, client: Any, context: str, inputs: str) -> float:
        seen.append((context, (Path(context) / "Containerfile").read_text()))
        return 1.5

    monkeypatch.setattr(podman_image, "build", build)
    monkeypatch.setattr(podman_image, "drop_former", lambda client, name: None)
    module = image_module(files, _archive=str(tmp_path / "context.tar"))
    result = podman_image.run(module, Images())
    assert result["changed"] and result["seconds"] == 1.5
    assert seen[0][1] == "FROM x\n" and not Path(seen[0][0]).exists()


class Module:
    """A stand-in for AnsibleModule."""

    def __init__(self, folder: Path, **params: Any) -> None:
        self.check_mode = False
        self.warnings: list[str] = []
        self.tmpdir = str(folder)
        self.params = {name: option.get("default") for name, option in podman_base_image.ARGUMENTS.items()}
        self.params.update({"name": "localhost/base", "directory": str(folder), **params})

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ways in which a base image was made; the registry answers and this host is a Debian."""
    ways: list[str] = []
    monkeypatch.setattr(podman_base_image, "host_release", lambda: DEBIAN)
    monkeypatch.setattr(podman_base_image, "registry_answers", lambda host: "")
    monkeypatch.setattr(podman_base_image, "drop_former", lambda client, name: None)
    for name in ("_pull", "_bootstrap"):
        monkeypatch.setattr(
            podman_base_image.BaseImage, name, lambda self, inputs, directory, way=name: ways.append(way)
        )
    return ways


def test_from_the_registry_when_it_answers(tmp_path: Path, made: list[str]) -> None:
    result = podman_base_image.run(Module(tmp_path), Images())
    assert made == ["_pull"] and result["source"] == "registry" and "registry" not in result


def test_from_packages_when_it_does_not(
    tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(podman_base_image, "registry_answers", lambda host: f"{host} is silent")
    result = podman_base_image.run(Module(tmp_path), Images())
    assert made == ["_bootstrap"] and result["source"] == "bootstrap"
    assert result["registry"] == "registry-1.docker.io is silent"
    with pytest.raises(PodmanError, match=r"is silent\. Remedy"):
        podman_base_image.run(Module(tmp_path, source="registry"), Images())


def test_another_keyring_makes_another_image(tmp_path: Path, made: list[str]) -> None:
    plain = podman_base_image.BaseImage(Module(tmp_path), Images()).inputs()
    signed = podman_base_image.BaseImage(Module(tmp_path, keyring="/k.gpg"), Images()).inputs()
    assert plain["registry"] == signed["registry"] and plain["bootstrap"] != signed["bootstrap"]


def test_from_packages_when_it_answers_but_cannot_be_used(
    tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Any, inputs: str, directory: str) -> None:
        raise PodmanError("too many requests")

    monkeypatch.setattr(podman_base_image.BaseImage, "_pull", broken)
    result = podman_base_image.run(Module(tmp_path), Images())
    assert (
        made == ["_bootstrap"]
        and result["source"] == "bootstrap"
        and result["registry"] == "too many requests"
    )
    assert (
        result["diff"]["after"]["inputs"]
        == podman_base_image.BaseImage(Module(tmp_path), Images()).inputs()["bootstrap"]
    )
    with pytest.raises(PodmanError, match="too many requests"):
        podman_base_image.run(Module(tmp_path, source="registry"), Images())
    monkeypatch.setattr(podman_base_image, "host_release", lambda: ROCKY)
    with pytest.raises(PodmanError, match="too many requests"):
        podman_base_image.run(Module(tmp_path), Images())


def test_one_that_was_loaded_stays_where_none_can_be_made(
    tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(podman_base_image, "host_release", lambda: ROCKY)
    monkeypatch.setattr(podman_base_image, "registry_answers", lambda host: "silent")
    with pytest.raises(PodmanError, match=r"Rocky Linux 9 .*Remedy"):
        podman_base_image.run(Module(tmp_path), Images())
    module = Module(tmp_path)
    result = podman_base_image.run(module, Images({"localhost/base:latest": image("a", "of another host")}))
    assert not result["changed"] and result["id"] == "a" * 12 and made == []
    assert "stays as it is" in module.warnings[0]


def test_blocked_by_configuration(tmp_path: Path, made: list[str]) -> None:
    images = Images()
    images.registries = {"docker.io": {"Prefix": "docker.io", "Blocked": True}}
    with pytest.raises(PodmanError, match=r"registries\.conf blocks docker\.io"):
        podman_base_image.run(Module(tmp_path, source="registry"), images)


def test_unchanged_while_its_source_is(tmp_path: Path, made: list[str]) -> None:
    (tmp_path / "bootstrap-base.sh").write_text("one")
    inputs = podman_base_image.BaseImage(Module(tmp_path), Images()).inputs()
    assert len(set(inputs.values())) == 2
    for source in inputs:
        found = Images({"localhost/base:latest": image("a", inputs[source])})
        assert not podman_base_image.run(Module(tmp_path), found)["changed"]
        assert not podman_base_image.run(Module(tmp_path, source=source), found)["changed"]
    found = Images({"localhost/base:latest": image("a", inputs["bootstrap"])})
    assert podman_base_image.run(Module(tmp_path, source="registry"), found)["changed"]
    (tmp_path / "bootstrap-base.sh").write_text("two")
    assert podman_base_image.run(Module(tmp_path), found)["changed"]


def test_base_from_the_control_node(tmp_path: Path, made: list[str]) -> None:
    (tmp_path / "bootstrap-base.sh").write_text("one")
    (tmp_path / "Containerfile").write_text("FROM x")
    entries = scan(str(tmp_path), portable=True)
    on_host = podman_base_image.BaseImage(Module(tmp_path), Images()).inputs()
    listed = {"directory": None, "src": str(tmp_path), "_manifest": [list(entry) for entry in entries]}
    module = Module(tmp_path, **listed)
    assert podman_base_image.BaseImage(module, Images()).inputs() == on_host
    assert podman_base_image.run(module, Images()) == {"changed": False, "context_wanted": True}
    module.check_mode = True
    predicted = podman_base_image.run(module, Images())
    assert predicted["changed"] and predicted["diff"]["after"] == {"inputs": on_host["registry"]}
    module.check_mode = False
    current = Images({"localhost/base:latest": image("a", on_host["registry"])})
    assert not podman_base_image.run(module, current)["changed"]
    pack(str(tmp_path), entries, str(tmp_path / "context.tar"))
    module.params["_archive"] = str(tmp_path / "context.tar")
    assert podman_base_image.run(module, Images())["changed"] and made == ["_pull"]


def test_check_mode_makes_nothing(tmp_path: Path, made: list[str]) -> None:
    module = Module(tmp_path)
    module.check_mode = True
    result = podman_base_image.run(module, Images())
    assert result["changed"] and result["source"] == "registry" and result["id"] is None and made == []
