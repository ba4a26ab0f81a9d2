# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The manifest beside a file, and what it says of one that was touched since."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.files import Checksums
from ansible_collections.private_ai.chatbot.plugins.module_utils.gguf_model import manifest

WANTED = {"name": "Mine", "outtype": "f16", "quantization": "Q4_K_M", "files": {}}


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    """A file with its manifest and what was kept of the step before."""
    path, between = tmp_path / "model.gguf", tmp_path / "model.f16.gguf"
    path.write_bytes(b"result")
    path.chmod(0o644)
    between.write_bytes(b"before")
    kept = {"name": between.name, "size": 6, "sha256": "0" * 64}
    record = manifest.build(WANTED, str(path), 6, hashlib.sha256(b"result").hexdigest(), kept)
    Path(manifest.path_of(str(path))).write_bytes(manifest.encode(record))
    return path


def observe(dest: Path) -> dict[str, Any]:
    return manifest.observe(str(dest), Checksums(None))


def test_as_made(dest: Path) -> None:
    assert observe(dest) == manifest.desired(WANTED, True)


def test_same_inputs_give_the_same_bytes(dest: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "model.gguf"
    one = manifest.build(WANTED, str(dest), 6, "0" * 64, None)
    two = manifest.build(dict(reversed(WANTED.items())), str(other), 6, "0" * 64, None)
    assert manifest.encode(one) == manifest.encode(two)


@pytest.mark.parametrize("content", [b"resulT", b"longer than before", b""])
def test_another_file(dest: Path, content: bytes) -> None:
    dest.write_bytes(content)
    assert observe(dest)["content"] == manifest.OTHER


def test_without_a_manifest(dest: Path) -> None:
    own = Path(manifest.path_of(str(dest)))
    for text in ("", "[]", '{"format": 0}', json.dumps({"format": manifest.FORMAT, "inputs": 3})):
        own.write_text(text)
        assert observe(dest)["content"] == manifest.UNKNOWN
    own.unlink()
    assert observe(dest) == {"content": manifest.UNKNOWN, "mode": "0644", "intermediate": False}


def test_without_the_file(dest: Path) -> None:
    dest.unlink()
    assert observe(dest) == {}


def test_what_was_kept_is_gone_or_another(dest: Path) -> None:
    between = dest.with_name("model.f16.gguf")
    between.write_bytes(b"more than before")
    assert not observe(dest)["intermediate"]
    between.unlink()
    assert not observe(dest)["intermediate"]


def test_belonging_never_leaves_the_directory(dest: Path) -> None:
    own = Path(manifest.path_of(str(dest)))
    between = dest.with_name("model.f16.gguf")
    assert manifest.belonging(str(dest)) == [str(dest), str(own), str(between)]
    record = json.loads(own.read_text())
    (dest.parent.parent / "victim").write_text("not ours")
    record["intermediate"]["name"] = "../victim"
    own.write_text(json.dumps(record))
    assert manifest.belonging(str(dest)) == [str(dest), str(own)]
