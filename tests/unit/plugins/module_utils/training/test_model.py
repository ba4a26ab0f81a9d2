# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Models read without loading them: what can be trained, what is broken, what a training needs."""

from __future__ import annotations

import json
import struct
import typing as t
from pathlib import Path

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.training import model


def safetensors(path: Path, tensors: dict[str, tuple[str, list[int]]], cut: int = 0) -> None:
    """Write a file of zeros; ``cut`` bytes of it are missing."""
    sizes = {"F32": 4, "F16": 2, "I8": 1}
    header: dict[str, t.Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (kind, shape) in tensors.items():
        size = sizes[kind]
        for side in shape:
            size *= side
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    raw = json.dumps(header).encode()
    content = struct.pack("<Q", len(raw)) + raw + bytes(end)
    path.write_bytes(content[: len(content) - cut])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small model whose output layer is its embedding."""
    (tmp_path / "config.json").write_text(json.dumps({"vocab_size": 10, "hidden_size": 4}))
    (tmp_path / "tokenizer_config.json").write_text("{}")
    (tmp_path / "README.md").write_text("card")
    (tmp_path / ".snapshot.json").write_text("{}")
    (tmp_path / "training.json").write_text("{}")
    safetensors(tmp_path / "model.safetensors", {"model.embed_tokens.weight": ("F16", [10, 4])})
    return tmp_path


def test_what_is_known_of_a_model(folder: Path) -> None:
    """Parts without records and cards; an output layer of its own is seen."""
    found = model.read(str(folder))
    assert found.files == ["config.json", "model.safetensors", "tokenizer_config.json"]
    assert found[1:] == (40, "F16", 10, 4, True)
    safetensors(folder / "head.safetensors", {"lm_head.weight": ("F32", [10, 4])})
    assert model.read(str(folder))[1:] == (80, "F32", 10, 4, False)


@pytest.mark.parametrize("cut", [1, 41, 80])
def test_cut_weights_are_found(folder: Path, cut: int) -> None:
    """Before anything is trained on them."""
    safetensors(folder / "model.safetensors", {"model.embed_tokens.weight": ("F16", [10, 4])}, cut)
    with pytest.raises(model.ModelError, match="download it again"):
        model.read(str(folder))


@pytest.mark.parametrize(
    "content", [b"", b"12345678", struct.pack("<Q", 1 << 60) + b"{}", b"\2\0\0\0\0\0\0\0[]"]
)
def test_files_that_are_no_weights(folder: Path, content: bytes) -> None:
    """Whatever stands in them."""
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(model.ModelError):
        model.read(str(folder))


def test_models_that_cannot_be_trained(folder: Path) -> None:
    """Each with the reason and a remedy."""
    with pytest.raises(model.ModelError, match="is not a directory"):
        model.read(str(folder / "no"))
    index = {"weight_map": {"model.embed_tokens.weight": "a", "lost.weight": "b"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(model.ModelError, match=r"lacks tensors .*lost\.weight"):
        model.read(str(folder))
    (folder / "model.safetensors.index.json").unlink()
    safetensors(folder / "model.safetensors", {"a": ("I8", [4])})
    with pytest.raises(model.ModelError, match=r"types I8.*unquantised"):
        model.read(str(folder))
    (folder / "model.safetensors").unlink()
    with pytest.raises(model.ModelError, match="pickle"):
        model.read(str(folder))
    (folder / "tokenizer_config.json").write_text(json.dumps({"auto_map": {"a": "b"}}))
    with pytest.raises(model.ModelError, match="code of its own"):
        model.read(str(folder))
    (folder / "config.json").write_text("{")
    with pytest.raises(model.ModelError, match="is not JSON"):
        model.read(str(folder))
    (folder / "config.json").unlink()
    with pytest.raises(model.ModelError, match=r"no config\.json"):
        model.read(str(folder))


def test_needs_grow_with_what_causes_them() -> None:
    """A tied model gets an output layer; float32 results are twice those of half precision."""
    base = model.Base([], 1_000_000, "F16", 1000, 100, True)
    need = model.estimate(base, 2048, "base", 1, "cpu")
    assert need.work == 3 * 4 * 1_100_000 and need.result == 2 * 1_100_000
    assert model.estimate(base, 2048, "float32", 1, "cpu").result == 2 * need.result
    assert model.estimate(base._replace(tied=False), 2048, "base", 1, "cpu").work == 3 * 4 * 1_000_000
    assert model.estimate(base, 4096, "base", 1, "cpu").memory == need.memory + 12 * 2048 * 1000
    assert model.estimate(base, 2048, "base", 3, "cpu").work == need.work * 5 // 3


def test_memory_that_the_kernel_tells_of() -> None:
    """In kilobytes; nothing known is no reason to refuse."""
    assert model.available_memory("MemTotal: 9 kB\nMemAvailable:     12 kB\n") == 12 * 1024
    assert model.available_memory("MemTotal: 9 kB\n") == 0
