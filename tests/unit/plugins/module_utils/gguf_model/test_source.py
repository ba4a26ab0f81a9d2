# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Directories in the form of Hugging Face: what counts, what is refused."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.gguf_model import source
from ansible_collections.private_ai.chatbot.plugins.module_utils.gguf_model.source import SourceError


def safetensors(path: Path, tensors: dict[str, tuple[str, list[int], int]], cut: int = 0) -> None:
    """A file with tensors of zeros: dtype, shape, bytes."""
    head: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (dtype, shape, size) in tensors.items():
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(head).encode()
    data = struct.pack("<Q", len(text)) + text + bytes(end)
    path.write_bytes(data[: len(data) - cut])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    directory = tmp_path / "model"
    directory.mkdir()
    (directory / "config.json").write_text("{}")
    safetensors(directory / "model.safetensors", {"a": ("F16", [4, 8], 64), "b": ("F32", [8], 32)})
    return directory


def test_files_that_a_conversion_reads(model: Path, tmp_path: Path) -> None:
    passed_over = ["README.md", "LICENSE", "old.gguf", "m.gguf.manifest.json", "pytorch_model.bin"]
    for name in [*passed_over, "manifest.json", "training.json", ".snapshot.json", "tokenizer.json"]:
        (model / name).write_text("x")
    (model / "original").mkdir()
    (tmp_path / "blob").write_text("{}")
    (model / "generation_config.json").symlink_to(tmp_path / "blob")
    (model / "gone.json").symlink_to(tmp_path / "nothing")
    found = source.input_files(str(model))
    assert list(found) == ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"]
    assert found["generation_config.json"] == str(tmp_path / "blob")


@pytest.mark.parametrize(
    "missing, message",
    [("config.json", "no config.json"), ("model.safetensors", r"no \*.safetensors.*pickle.*save the model")],
)
def test_directories_that_are_no_models(model: Path, missing: str, message: str) -> None:
    (model / missing).unlink()
    with pytest.raises(SourceError, match=message):
        source.input_files(str(model))
    with pytest.raises(SourceError, match="is not a directory"):
        source.input_files(str(model / missing))


def test_shards_that_are_missing(model: Path) -> None:
    index = model / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}))
    with pytest.raises(SourceError, match=r"lacks model-2.safetensors, which its index names; fetch"):
        source.input_files(str(model))
    index.write_text("[]")
    with pytest.raises(SourceError, match=r"index\.json is damaged"):
        source.input_files(str(model))
    index.write_text(json.dumps({"weight_map": {"a": "../model.safetensors"}}))
    with pytest.raises(SourceError, match=r"lacks \.\./model.safetensors"):
        source.input_files(str(model))


def test_weights_are_counted(model: Path) -> None:
    """Packed weights of four bits hide two in each byte."""
    safetensors(model / "more.safetensors", {"q": ("I32", [4, 4], 64)})
    both = [str(model / name) for name in ("model.safetensors", "more.safetensors")]
    assert source.weights(both) == source.Weights(32 + 8 + 128, 128)


@pytest.mark.parametrize(
    "data, message",
    [
        (b"\1\2", "is damaged"),
        (struct.pack("<Q", 1 << 40), "is damaged: its head says that it is 1099511627776 bytes"),
        (struct.pack("<Q", 4) + b"nope", "is damaged"),
        (struct.pack("<Q", 8) + b'{"a": 1}', "is damaged"),
    ],
)
def test_weights_that_are_damaged(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=f"{path} {message}.*fetch it again"):
        source.weights([str(path)])


def test_weights_that_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    safetensors(path, {"a": ("F16", [4, 8], 64)}, cut=1)
    with pytest.raises(SourceError, match=r"is truncated: \d+ bytes of \d+"):
        source.weights([str(path)])


def test_only_the_front_matter_of_the_card_counts(model: Path) -> None:
    card = model / "README.md"
    assert source.card_digest(str(model)) == ""
    card.write_text("# No front matter\n")
    assert source.card_digest(str(model)) == ""
    card.write_text("---\nlicense: mit\n---\nOne text\n")
    first = source.card_digest(str(model))
    card.write_text("---\nlicense: mit\n---\nAnother text\n---\n")
    assert source.card_digest(str(model)) == first != ""
    card.write_text("---\nlicense: apache-2.0\n---\nOne text\n")
    assert source.card_digest(str(model)) != first
    card.write_bytes(b"---\n\xff\n---\n")
    with pytest.raises(SourceError, match="not text in UTF-8"):
        source.card_digest(str(model))


def test_provenance_that_is_recorded(model: Path) -> None:
    assert source.recorded_provenance(str(model)) == {}
    snapshot = {
        "repository": "a/b",
        "revision": "main",
        "commit": "c" * 40,
        "endpoint": "https://x",
        "files": [],
    }
    (model / ".snapshot.json").write_text(json.dumps(snapshot))
    assert source.recorded_provenance(str(model)) == {"repository": "a/b", "commit": "c" * 40}
    (model / "training.json").write_text(json.dumps({"provenance": {"name": "mine", "epochs": 4}}))
    assert source.recorded_provenance(str(model)) == {"name": "mine", "epochs": 4}
    (model / "training.json").write_text("{")
    with pytest.raises(SourceError, match=r"training.json is not JSON.*or give provenance"):
        source.recorded_provenance(str(model))


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("commit", "/srv/models", "looks like a path"),
        ("commit", "https://example.org/x", "an address"),
        ("made", "2026-01-02T03:04:05", "a time"),
        ("base", {"a": 1}, "must be a text or a number"),
        ("Big Key", "x", "has the key 'Big Key'"),
    ],
)
def test_provenance_that_could_not_be_repeated(key: str, value: Any, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        source.check_provenance({key: value})


def test_provenance_is_sorted() -> None:
    given = {"repository": "a/b", "base.commit": "c", "epochs": 4, "rate": 2e-5}
    assert list(source.check_provenance(given)) == ["base.commit", "epochs", "rate", "repository"]


def test_files_that_the_container_cannot_read(model: Path) -> None:
    path = model / "config.json"
    source.must_be_readable([str(path)])
    path.chmod(0o600)
    with pytest.raises(SourceError, match=rf"{path} cannot be read.*chmod a\+r"):
        source.must_be_readable([str(path)])
