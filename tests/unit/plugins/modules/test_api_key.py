# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The key file: made once, protected, never told without being asked."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.modules import api_key


class Module:
    """A stand-in for AnsibleModule."""

    def __init__(self, path: Path, check_mode: bool = False, **params: Any) -> None:
        self.params = {
            "path": str(path),
            "state": "present",
            "mode": "0600",
            "key": None,
            "regenerate": False,
            "return_key": False,
            **params,
        }
        self.check_mode = check_mode
        self.no_log_values: set[str] = set()
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def run(path: Path, **params: Any) -> dict[str, Any]:
    return api_key.run(Module(path, **params))


def test_made_once(tmp_path: Path) -> None:
    path = tmp_path / "made" / "key"
    predicted = run(path, check_mode=True)
    assert predicted["changed"] and predicted["created"] and predicted["sha256"] is None
    assert not path.parent.exists()
    made = run(path)
    key = path.read_text().strip()
    assert made["changed"] and made["created"]
    assert made["sha256"] == hashlib.sha256(key.encode()).hexdigest()
    assert made["fingerprint"] == made["sha256"][:8]
    assert key.startswith("pai_") and len(key) >= 4 + 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    again = run(path)
    assert not again["changed"] and not again["created"] and again["sha256"] == made["sha256"]


def test_two_keys_differ(tmp_path: Path) -> None:
    assert run(tmp_path / "one")["sha256"] != run(tmp_path / "two")["sha256"]


def test_key_is_told_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "key"
    module = Module(path)
    told = api_key.run(module)
    key = path.read_text().strip()
    assert key not in str(told) and module.no_log_values == {key}
    assert run(path, return_key=True)["key"] == key
    assert key not in str(run(path, regenerate=True))


@pytest.mark.parametrize("loose, repaired", [(0o644, 0o600), (0o640, 0o600), (0o666, 0o600), (0o700, 0o600)])
def test_loose_mode_is_repaired(tmp_path: Path, loose: int, repaired: int) -> None:
    path = tmp_path / "key"
    first = run(path)
    path.chmod(loose)
    predicted = run(path, check_mode=True)
    assert predicted["changed"] and stat.S_IMODE(path.stat().st_mode) == loose
    module = Module(path)
    done = api_key.run(module)
    assert done["changed"] and not done["created"] and done["sha256"] == first["sha256"]
    assert done["diff"]["before"]["mode"] == f"{loose:04o}" and done["diff"]["after"]["mode"] == "0600"
    assert "regenerate" in module.warnings[0]
    assert stat.S_IMODE(path.stat().st_mode) == repaired
    assert not run(path)["changed"]


def test_stricter_mode_stays(tmp_path: Path) -> None:
    path = tmp_path / "key"
    run(path)
    path.chmod(0o400)
    assert not run(path)["changed"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o400


def test_regenerate(tmp_path: Path) -> None:
    path = tmp_path / "key"
    first = run(path)
    predicted = run(path, regenerate=True, check_mode=True)
    assert predicted["changed"] and run(path)["sha256"] == first["sha256"]
    second = run(path, regenerate=True)
    assert second["changed"] and second["created"] and second["sha256"] != first["sha256"]
    assert second["diff"]["after"]["key"] == "<changed>"


def test_key_of_ones_own_is_not_written(tmp_path: Path) -> None:
    path, key = tmp_path / "key", "my-own-key-0123456789"
    told = run(path, key=key)
    assert not told["changed"] and not path.exists()
    assert told["sha256"] == hashlib.sha256(key.encode()).hexdigest()
    with pytest.raises(ValueError, match=r"16 to 512 .* this one has 5") as refused:
        run(path, key="short")
    assert "short" not in str(refused.value)


@pytest.mark.parametrize(
    "content", [b"", b"short\n", b"a key with spaces in it\n", b"\xff\xfe" * 20, b"x" * 600]
)
def test_file_without_a_key(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"holds no key: 16 to 512 .* remove the file"):
        run(path)
    assert path.read_bytes() == content


def test_not_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ValueError, match="is not a file"):
            run(path)


@pytest.mark.parametrize("mode", ["0644", "0604", "0610", "0200", "rw-------", "0o600"])
def test_mode_that_protects_nothing(tmp_path: Path, mode: str) -> None:
    with pytest.raises(ValueError, match=f"mode is '{mode}'"):
        run(tmp_path / "key", mode=mode)
    assert not (tmp_path / "key").exists()


def test_mode_for_a_group(tmp_path: Path) -> None:
    run(tmp_path / "key", mode="0640")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o640


def test_absent(tmp_path: Path) -> None:
    path = tmp_path / "key"
    run(path)
    assert run(path, state="absent", check_mode=True)["changed"] and path.exists()
    assert run(path, state="absent")["changed"] and not path.exists()
    assert not run(path, state="absent")["changed"]


def test_where_the_private_side_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_key, "default_data_directory", lambda: str(tmp_path))
    module = Module(tmp_path)
    module.params["path"] = None
    assert api_key.run(module)["path"] == str(tmp_path / "api-key")
    assert (tmp_path / "api-key").is_file()
