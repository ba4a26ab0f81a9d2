# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Placing a model: the demo model of this collection, and broken copies of it."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.gguf import GgufError
from ansible_collections.private_ai.chatbot.plugins.modules import gguf_file

DEMO = next(Path(gguf_file.__file__).parents[2].glob("roles/private_model/files/demo_model/**/*.gguf"))


class Module:
    """A stand-in for AnsibleModule."""

    def __init__(self, check_mode: bool, params: dict[str, Any]) -> None:
        self.params = {
            "src": None,
            "dest": None,
            "state": "present",
            "sha256": None,
            "architectures": gguf_file.ARCHITECTURES,
            "pre_tokenizers": None,
            "mode": "0644",
            "checksum_cache": None,
            "verify_only": False,
            **{name: str(value) if isinstance(value, Path) else value for name, value in params.items()},
        }
        self.check_mode = check_mode
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def run(check_mode: bool = False, **params: Any) -> dict[str, Any]:
    return gguf_file.run(Module(check_mode, params))


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """A file that is being served and has to survive."""
    path = tmp_path / "models" / "model.gguf"
    path.parent.mkdir()
    path.write_bytes(b"what is served now")
    path.chmod(0o644)
    return path


def test_placed(served: Path) -> None:
    digest = hashlib.sha256(DEMO.read_bytes()).hexdigest()
    predicted = run(True, src=DEMO, dest=served)
    assert predicted["changed"] and served.read_bytes() == b"what is served now"
    placed = run(src=DEMO, dest=served, sha256=digest.upper())
    assert placed["changed"] and placed["diff"] == predicted["diff"] and placed["model"] == predicted["model"]
    assert placed["model"]["sha256"] == digest and placed["model"]["chat_template"]
    assert served.read_bytes() == DEMO.read_bytes()
    assert os.listdir(served.parent) == ["model.gguf"]
    assert not run(src=DEMO, dest=served)["changed"]
    assert not run(True, src=DEMO, dest=served)["changed"]


def test_mode_alone(served: Path) -> None:
    run(src=DEMO, dest=served)
    served.chmod(0o600)
    inode = served.stat().st_ino
    repaired = run(src=DEMO, dest=served)
    assert repaired["changed"] and repaired["diff"]["before"]["mode"] == "0600"
    assert stat.S_IMODE(served.stat().st_mode) == 0o644 and served.stat().st_ino == inode


def broken(how: str, data: bytes) -> bytes:
    return {
        "truncated": data[:-100_000],
        "cut in its head": data[:200],
        "not GGUF": b"PK\x03\x04" + data,
        "architecture": data.replace(b"qwen2", b"qwenX"),
    }[how]


@pytest.mark.parametrize("how", ["truncated", "cut in its head", "not GGUF", "architecture"])
@pytest.mark.parametrize("check_mode", [False, True])
def test_bad_file_leaves_what_serves(served: Path, tmp_path: Path, how: str, check_mode: bool) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(broken(how, DEMO.read_bytes()))
    with pytest.raises(GgufError, match=f"^{bad} cannot be served: it") as refused:
        run(check_mode, src=bad, dest=served)
    assert {"cut in its head": "truncated", "not GGUF": "not a GGUF file"}.get(how, how) in str(refused.value)
    assert served.read_bytes() == b"what is served now"
    assert os.listdir(served.parent) == ["model.gguf"]


def test_wrong_checksum(served: Path) -> None:
    with pytest.raises(GgufError, match=r"SHA-256 is [0-9a-f]{64}, expected is 0{64}"):
        run(src=DEMO, dest=served, sha256="0" * 64)
    assert served.read_bytes() == b"what is served now"
    with pytest.raises(ValueError, match="sha256 is 'abc'; 64"):
        run(src=DEMO, dest=served, sha256="abc")


@pytest.mark.parametrize(
    "mode, message", [("0600", "keeps the user inside the containers"), ("u=rw", "octal")]
)
def test_mode_that_containers_cannot_read(served: Path, mode: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"mode is '{mode}'.*{message}"):
        run(src=DEMO, dest=served, mode=mode)


def test_places_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(GgufError, match="no such file"):
        run(src=tmp_path / "none", verify_only=True)
    with pytest.raises(ValueError, match="make it first"):
        run(src=DEMO, dest=tmp_path / "none" / "model.gguf")
    assert run(True, src=DEMO, dest=tmp_path / "none" / "model.gguf")["changed"]
    with pytest.raises(ValueError, match="is a directory"):
        run(src=DEMO, dest=tmp_path)


def test_full_disk(served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs(served.parent)

    class Full:
        f_bavail, f_frsize = 1, real.f_frsize

    monkeypatch.setattr(os, "statvfs", lambda _: Full)
    with pytest.raises(
        ValueError, match=f"has {real.f_frsize} bytes free, the copy needs {DEMO.stat().st_size}"
    ):
        run(src=DEMO, dest=served)
    assert served.read_bytes() == b"what is served now"


def test_changed_while_copied(served: Path) -> None:
    """What was checked is what is placed, or nothing is."""
    with pytest.raises(ValueError, match="changed while it was copied"):
        gguf_file.place({"src": str(DEMO), "dest": str(served)}, {"size": 1, "sha256": "0" * 64}, 0o644)
    assert served.read_bytes() == b"what is served now"


def test_verify_only_and_absent(served: Path) -> None:
    looked = run(src=DEMO, verify_only=True)
    assert not looked["changed"] and looked["model"]["architecture"] == "qwen2"
    assert run(True, dest=served, state="absent")["changed"] and served.exists()
    assert run(dest=served, state="absent")["changed"] and not served.exists()
    assert not run(dest=served, state="absent")["changed"]


def test_no_chat_template_is_a_warning(tmp_path: Path) -> None:
    plain = tmp_path / "plain.gguf"
    plain.write_bytes(DEMO.read_bytes().replace(b"tokenizer.chat_template", b"tokenizer.chat_other___"))
    module = Module(False, {"src": plain, "verify_only": True})
    assert not gguf_file.run(module)["model"]["chat_template"]
    assert "no chat template" in module.warnings[0]
