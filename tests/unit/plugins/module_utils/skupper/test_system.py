# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is decided for the running site of a host."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.errors import (
    InvalidValue,
    SkupperError,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.namespaces import Documents
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.system import (
    State,
    check_input,
    decide,
    is_running,
    open_files,
    reload_type_of,
    unit_directory,
    unit_states,
    write_backup,
)

RUNS = State(defined=True, started=True, pending=(), running=True)


@pytest.mark.parametrize(
    "change, reload, expected",
    [
        ({}, "needed", []),
        ({}, "always", ["reload"]),
        ({"started": False, "running": False}, "needed", ["start"]),
        ({"started": False, "running": False}, "never", ["start"]),
        ({"pending": ("Listener/a",)}, "needed", ["reload"]),
        ({"pending": ("Listener/a",)}, "never", []),
        ({"running": False}, "needed", ["revive"]),
        # A reload starts the router anyway.
        ({"running": False, "pending": ("Listener/a",)}, "needed", ["reload"]),
        ({"running": None}, "needed", []),
        ({"enabled": False}, "needed", ["enable"]),
        ({"enabled": False, "running": False}, "never", ["enable", "revive"]),
        ({"enabled": None}, "needed", []),
        # What is gone cannot be revived; a reload makes it again.
        ({"lost": True, "running": False, "enabled": None}, "needed", ["reload"]),
        ({"lost": True, "running": False}, "never", []),
        ({"drop_in": False, "open_files": ("a",)}, "needed", ["close", "drop-in"]),
    ],
)
def test_decide(change: dict[str, Any], reload: str, expected: list[str]) -> None:
    assert decide(replace(RUNS, **change), reload) == expected


def folder_with(tmp_path: Path, *objects: tuple[str, str, dict[str, Any]]) -> Documents:
    for kind, name, spec in objects:
        text = yaml.safe_dump({"kind": kind, "metadata": {"name": name}, "spec": spec})
        (tmp_path / f"{kind}-{name}.yaml").write_text(text)
    return Documents(str(tmp_path))


def test_input_that_would_fail_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    place = {"host": "127.0.0.1", "port": 8000}
    found = folder_with(tmp_path, ("Listener", "a", place), ("Listener", "b", place))
    with pytest.raises(
        InvalidValue, match=r"listeners a and b both have 127.0.0.1:8000; give one of them another"
    ):
        check_input(found)


def test_two_sites_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="has the sites a, b; a namespace has one"):
        check_input(folder_with(tmp_path, ("Site", "a", {}), ("Site", "b", {})))


def test_a_token_in_the_input_is_unwise(tmp_path: Path) -> None:
    found = folder_with(tmp_path, ("Site", "a", {}), ("AccessToken", "t", {}))
    assert ["redeemed again at every reload" in one for one in check_input(found)] == [True]


def test_open_files(tmp_path: Path) -> None:
    wanted = []
    for name, mode, found in (
        ("input/resources/Secret-a.yaml", 0o644, True),
        ("input/resources/Site-a.yaml", 0o644, False),
        ("runtime/certs/a/tls.key", 0o640, True),
        ("runtime/certs/a/tls.crt", 0o640, False),
        ("runtime/links/link-a-host.yaml", 0o644, True),
        ("internal/snapshot/Secret-a.yaml", 0o600, False),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        path.chmod(mode)
        wanted += [str(path)] if found else []
    assert open_files(str(tmp_path)) == sorted(wanted)


def test_backup_is_closed_and_whole(tmp_path: Path) -> None:
    (tmp_path / "east/input").mkdir(parents=True)
    (tmp_path / "east/input/key").write_text("k")
    write_backup(str(tmp_path / "east"), str(tmp_path / "b.tar.gz"))
    assert (tmp_path / "b.tar.gz").stat().st_mode & 0o777 == 0o600
    with tarfile.open(fileobj=io.BytesIO((tmp_path / "b.tar.gz").read_bytes())) as archive:
        assert "east/input/key" in archive.getnames()
    with pytest.raises(SkupperError, match="is no directory; make it first"):
        write_backup(str(tmp_path / "east"), str(tmp_path / "nowhere/b.tar.gz"))


def test_backup_while_the_router_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "east/kept").mkdir(parents=True)
    for name in ("draft", "shortened", "kept/key"):
        (tmp_path / "east" / name).write_text("four")
    (tmp_path / "east/link").symlink_to("kept")
    look = tarfile.TarFile.gettarinfo

    def meanwhile(archive: tarfile.TarFile, name: str, *rest: Any, **more: Any) -> tarfile.TarInfo:
        if name.endswith("draft"):
            Path(name).unlink()
        found = look(archive, name, *rest, **more)
        if name.endswith("shortened"):
            Path(name).write_text("o")
        return found

    monkeypatch.setattr(tarfile.TarFile, "gettarinfo", meanwhile)
    write_backup(str(tmp_path / "east"), str(tmp_path / "b.tar.gz"))
    with tarfile.open(tmp_path / "b.tar.gz") as archive:
        names = ["east", "east/kept", "east/kept/key", "east/link", "east/shortened"]
        assert sorted(archive.getnames()) == names
        held = {name: archive.extractfile(name) for name in names[2::2]}
        assert {name: one.read() for name, one in held.items() if one} == {
            "east/kept/key": b"four",
            "east/shortened": b"o",
        }
        assert archive.getmember("east/link").linkname == "kept"


def test_units_of_root_and_others() -> None:
    assert unit_directory(0, {"XDG_CONFIG_HOME": "/x"}) == "/etc/systemd/system"
    assert unit_directory(1234, {"XDG_CONFIG_HOME": "/x"}) == "/x/systemd/user"


def test_unit_states() -> None:
    assert unit_states("ActiveState=active\nUnitFileState=enabled\n") == (True, True)
    assert unit_states("ActiveState=activating\nUnitFileState=disabled\n") == (True, False)
    assert unit_states("ActiveState=inactive\nUnitFileState=\n") == (False, False)


def test_controller() -> None:
    container = {"Config": {"Env": ["A=b", "SKUPPER_SYSTEM_RELOAD_TYPE=auto"]}, "State": {"Running": True}}
    assert reload_type_of(container) == "auto" and is_running(container)
    assert reload_type_of({}) == "manual" and not is_running({"State": {"Running": False}})
