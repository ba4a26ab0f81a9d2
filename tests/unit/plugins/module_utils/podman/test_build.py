# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an image is made from, the arguments of its build, and the images that newer ones replaced."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman import build
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.client import (
    PodmanClient,
    PodmanError,
)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A directory of every kind of entry; the modes do not depend on the umask."""
    root = tmp_path / "context"
    (root / "folder" / "empty").mkdir(parents=True)
    (root / "Containerfile").write_text("FROM scratch\n")
    (root / "folder" / "file").write_text("text")
    (root / "link").symlink_to("folder/file")
    (root / "folder-link").symlink_to("folder")
    for path in root.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
    return root


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda root: (root / "folder" / "file").write_text("texT"),
    "name": lambda root: (root / "folder" / "file").rename(root / "folder" / "other"),
    "another folder": lambda root: (root / "folder" / "file").rename(root / "folder" / "empty" / "file"),
    "executable": lambda root: (root / "folder" / "file").chmod(0o755),
    "readable": lambda root: (root / "folder" / "file").chmod(0o640),
    "mode of a folder": lambda root: (root / "folder").chmod(0o700),
    "empty folder": lambda root: (root / "folder" / "empty").rmdir(),
    "one more": lambda root: (root / "more").touch(),
    "target of a link": lambda root: ((root / "link").unlink(), (root / "link").symlink_to("folder/other")),
    "target of a link to a folder": lambda root: (
        (root / "folder-link").unlink(),
        (root / "folder-link").symlink_to("folder/empty"),
    ),
    "link turned into a file": lambda root: ((root / "link").unlink(), (root / "link").write_text("text")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_digest_sees(context: Path, change: Callable[[Path], object]) -> None:
    before = build.context_digest(str(context), {})
    change(context)
    assert build.context_digest(str(context), {}) != before


def test_digest_sees_values(context: Path) -> None:
    one = build.context_digest(str(context), {"base": "a", "build_args": {"X": "1", "Y": "2"}})
    assert one == build.context_digest(str(context), {"build_args": {"Y": "2", "X": "1"}, "base": "a"})
    assert one != build.context_digest(str(context), {"base": "b", "build_args": {"X": "1", "Y": "2"}})


def test_digest_does_not_see_times_places_and_caches(context: Path, tmp_path: Path) -> None:
    before = build.context_digest(str(context), {})
    os.utime(context / "folder" / "file", (1, 1))
    (context / "__pycache__").mkdir()
    (context / "__pycache__" / "x.pyc").touch()
    assert build.context_digest(str(context.rename(tmp_path / "elsewhere")), {}) == before


def test_names_and_contents_do_not_run_into_each_other(tmp_path: Path) -> None:
    for name, files in {"one": {"ab": "", "c": ""}, "two": {"a": "", "bc": ""}}.items():
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(text)
    assert build.context_digest(str(tmp_path / "one"), {}) != build.context_digest(str(tmp_path / "two"), {})


def test_digest_of_a_name_that_is_no_text(context: Path) -> None:
    (Path(os.fsdecode(os.fsencode(context) + b"/\xff"))).touch()
    assert len(build.context_digest(str(context), {})) == 64


def test_digest_refuses_what_cannot_be_copied(context: Path) -> None:
    # Opened, it would be waited for without end.
    os.mkfifo(context / "pipe")
    with pytest.raises(ValueError, match="pipe is neither a file"):
        build.context_digest(str(context), {})


def test_digest_does_not_pass_over_what_it_cannot_read(
    context: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = os.scandir

    def refusing(path: Any) -> Any:
        if str(path).endswith("folder"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(PermissionError):
        build.context_digest(str(context), {})


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
