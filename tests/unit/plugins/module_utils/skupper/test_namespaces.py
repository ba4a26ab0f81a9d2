# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a namespace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper import namespaces
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.errors import SkupperError
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import LISTENER, SECRET, SITE
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.namespaces import (
    FileStore,
    container_mark,
    data_home,
)


def site(**spec: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "apiVersion": "skupper.io/v2alpha1",
        "kind": "Site",
        "metadata": {"name": "east", "namespace": "east"},
    }
    return {**found, "spec": spec} if spec else found


def secret(value: str = "a2V5") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "tok", "namespace": "east"},
        "data": {"tls.key": value},
        "type": "kubernetes.io/tls",
    }


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(str(tmp_path / "namespaces" / "east"), "east", "linux")


def write(store: FileStore, obj: dict[str, Any]) -> bool:
    kind = {"Site": SITE, "Secret": SECRET, "Listener": LISTENER}[obj["kind"]]
    plan = store.plan(obj, store.get(kind, obj["metadata"]["name"]))
    if plan.changed:
        store.apply(plan)
    return plan.changed


def test_written_as_the_command_does_and_only_once(store: FileStore) -> None:
    assert write(store, site(linkAccess="default"))
    path = Path(store.input) / "Site-east.yaml"
    assert path.read_text() == (
        "apiVersion: skupper.io/v2alpha1\nkind: Site\nmetadata:\n  name: east\n  namespace: east\n"
        "spec:\n  linkAccess: default\n"
    )
    assert path.stat().st_mode & 0o777 == 0o640
    assert all(folder.stat().st_mode & 0o777 == 0o700 for folder in (path.parent, path.parent.parent))
    assert not write(store, site(linkAccess="default"))
    assert write(store, site())
    assert "linkAccess" not in path.read_text()
    assert [one.name for one in path.parent.iterdir()] == ["Site-east.yaml"]


def test_a_key_is_closed_and_one_that_was_open_is_repaired(store: FileStore) -> None:
    write(store, secret())
    path = Path(store.input) / "Secret-tok.yaml"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    plan = store.plan(secret(), store.get(SECRET, "tok"))
    assert plan.changed and plan.diff()["before"]["mode"] == "0644" and plan.diff()["after"]["mode"] == "0600"
    store.apply(plan)
    assert path.stat().st_mode & 0o777 == 0o600


def test_another_namespace_in_the_file_is_drift(store: FileStore) -> None:
    write(store, site())
    path = Path(store.input) / "Site-east.yaml"
    path.write_text(path.read_text().replace("  namespace: east\n", ""))
    store._documents = None
    assert write(store, site())
    assert yaml.safe_load(path.read_text())["metadata"]["namespace"] == "east"


def test_an_object_stays_in_the_file_in_which_it_was_found(store: FileStore) -> None:
    folder = Path(store.input)
    folder.mkdir(parents=True)
    other = {**site(), "kind": "Other"}
    (folder / "mine.yaml").write_text(yaml.safe_dump_all([site(), other]))
    assert write(store, site(edge=True))
    assert [one.name for one in folder.iterdir()] == ["mine.yaml"]
    assert list(yaml.safe_load_all((folder / "mine.yaml").read_text())) == [site(edge=True), other]
    store.delete(SITE, "east")
    assert list(yaml.safe_load_all((folder / "mine.yaml").read_text())) == [other]
    assert store.get(SITE, "east") is None


def test_delete_removes_the_file(store: FileStore) -> None:
    write(store, site())
    store.delete(SITE, "east")
    assert list(Path(store.input).iterdir()) == []


def snapshot(store: FileStore, obj: dict[str, Any]) -> None:
    """What a start leaves, in the command's form."""
    folder = Path(store.root) / "internal" / "snapshot"
    folder.mkdir(parents=True, exist_ok=True)
    meta = {**obj["metadata"], "creationTimestamp": None}
    path = folder / f"{obj['kind']}-{obj['metadata']['name']}.yaml"
    path.write_text(yaml.safe_dump({**obj, "metadata": meta, "status": {}}))


def test_pending_is_what_the_router_does_not_know(store: FileStore) -> None:
    write(store, site(linkAccess="default"))
    assert store.is_pending(SITE, "east", site(linkAccess="default"))
    snapshot(store, site(linkAccess="default"))
    assert store.pending() == []
    assert not store.is_pending(SITE, "east", site(linkAccess="default", ha=False))
    labelled = site(linkAccess="default")
    labelled["metadata"]["labels"] = {"a": "b"}
    assert not store.is_pending(SITE, "east", labelled)
    assert store.is_pending(SITE, "east", None)
    assert store.is_pending(SITE, "east", site())
    write(store, secret())
    snapshot(store, secret("bmV3"))
    assert store.pending() == ["Secret/tok"]


def test_wrong_platform(store: FileStore) -> None:
    store.check_platform()
    path = Path(store.root) / "internal" / "platform.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("platform: podman\n")
    with pytest.raises(
        SkupperError, match="east runs on platform podman, and platform is linux; name platform"
    ):
        store.check_platform()


def test_a_file_that_is_not_yaml_is_named(store: FileStore) -> None:
    folder = Path(store.input)
    folder.mkdir(parents=True)
    (folder / "bad.yaml").write_text("a: [b\n")
    with pytest.raises(SkupperError, match=r"bad.yaml cannot be read as YAML: .*; repair or remove it"):
        store.get(SITE, "east")


@pytest.mark.parametrize(
    "uid, environ, marks, expected",
    [
        (0, {"XDG_DATA_HOME": "/x"}, set(), "/var/lib/skupper"),
        (1234, {"XDG_DATA_HOME": "/x"}, set(), "/x/skupper"),
        # The command's own mistake, to be found where it put things.
        (0, {}, {"/.dockerenv", "/output"}, "/output"),
        (0, {}, {"/.dockerenv"}, "/var/lib/skupper"),
        (0, {}, {"/output"}, "/var/lib/skupper"),
    ],
)
def test_data_home(uid: int, environ: dict[str, str], marks: set[str], expected: str) -> None:
    assert data_home(uid, environ, marks.__contains__) == expected


def test_container_mark() -> None:
    assert container_mark({"/run/.containerenv"}.__contains__) == "/run/.containerenv"
    assert container_mark(set[str]().__contains__) is None


def test_what_no_site_is_made_of_is_never_pending(store: FileStore) -> None:
    write(store, site())
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}
    later = {"apiVersion": "skupper.io/v3", "kind": "Listener", "metadata": {"name": "l"}}
    (Path(store.input) / "other.yaml").write_text(yaml.safe_dump_all([pod, later]))
    (Path(store.input) / "Site-b.json").write_text('{"apiVersion": "skupper.io/v2alpha1", "kind": "Site"}')
    assert store.pending() == ["Site/east"]


def test_a_host_that_the_command_mistakes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    monkeypatch.setattr(namespaces, "CONTAINER_MARKS", (str(mark),))
    monkeypatch.setattr(namespaces, "CONTAINER_HOME", str(tmp_path / "output"))
    namespaces.refuse_mistaken_host("start")
    mark.touch()
    with pytest.raises(SkupperError, match=f"because {mark} exists, and would not start; remove {mark}"):
        namespaces.refuse_mistaken_host("start")
    (tmp_path / "output").mkdir()
    namespaces.refuse_mistaken_host("start")
