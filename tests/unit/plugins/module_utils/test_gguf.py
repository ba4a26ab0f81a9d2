# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reader of GGUF heads, on files written here byte by byte after the format's description."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils import gguf

LOCK = Path(gguf.__file__).parents[2] / "roles/private_model/files/images/ilab/locks/source.lock"
F16, Q8_0, UNKNOWN = 1, 8, 99


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def value(of: Any) -> bytes:
    if isinstance(of, str):
        return struct.pack("<I", 8) + text(of)
    if isinstance(of, list):
        inner = 8 if isinstance(of[0], str) else 4
        items = b"".join(text(item) if inner == 8 else struct.pack("<I", item) for item in of)
        return struct.pack("<IIQ", 9, inner, len(of)) + items
    return struct.pack("<II", 4, of)


METADATA: dict[str, Any] = {
    "general.architecture": "qwen2",
    "general.name": "Tiny",
    "qwen2.context_length": 2048,
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "deepseek-r1-qwen",
    "tokenizer.ggml.tokens": [f"word{number}" for number in range(50)],
    "tokenizer.ggml.token_type": list(range(50)),
    "tokenizer.chat_template": "{{ messages }}",
}
#: Name, shape, type, bytes: 4 x 3 halves, then two blocks of 32 in 34 bytes each.
TENSORS = [("a.weight", (4, 3), F16, 24), ("b.weight", (64,), Q8_0, 68)]


def build(
    metadata: dict[str, Any] | None = None,
    tensors: list[tuple[str, tuple[int, ...], int, int]] | None = None,
    version: int = 3,
) -> bytes:
    """Return a whole GGUF file."""
    metadata = METADATA if metadata is None else metadata
    tensors = TENSORS if tensors is None else tensors
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    head += b"".join(text(name) + value(of) for name, of in metadata.items())
    offset, data = 0, b""
    for name, shape, kind, size in tensors:
        head += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        head += struct.pack("<IQ", kind, offset)
        padded = -(-size // 32) * 32
        data += bytes(padded)
        offset += padded
    return head + bytes(-len(head) % 32) + data


def without(*names: str, **more: Any) -> dict[str, Any]:
    """Return the metadata without some keys."""
    return {name: of for name, of in {**METADATA, **more}.items() if name not in names}


def read(tmp_path: Path, data: bytes) -> gguf.Header:
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    return gguf.read_header(str(path))


def checked(tmp_path: Path, data: bytes, architectures: tuple[str, ...] = ("qwen2", "llama")) -> gguf.Header:
    header = read(tmp_path, data)
    gguf.check(header, len(data), architectures)
    return header


@pytest.mark.parametrize("version", [2, 3])
def test_whole_file(tmp_path: Path, version: int) -> None:
    data = build(version=version)
    header = checked(tmp_path, data)
    assert gguf.describe(header, len(data), "abc") == {
        "architecture": "qwen2",
        "name": "Tiny",
        "parameters": 12 + 64,
        "quantization": "Q8_0",
        "context_length": 2048,
        "tokenizer": "gpt2",
        "pre_tokenizer": "deepseek-r1-qwen",
        "chat_template": True,
        "size": len(data),
        "sha256": "abc",
    }


def test_size_that_the_tensors_ask_for(tmp_path: Path) -> None:
    """The padding after the last tensor may be missing; one byte of the tensor may not."""
    data = build()
    header = read(tmp_path, data)
    assert header.size == len(data) - (96 - 68)
    gguf.check(header, header.size, ["qwen2"])
    with pytest.raises(gguf.GgufError, match=f"truncated: {header.size - 1} bytes of {header.size}"):
        gguf.check(header, header.size - 1, ["qwen2"])


def test_alignment_of_its_own(tmp_path: Path) -> None:
    """The data begin at a multiple of general.alignment."""
    sizes = {
        alignment: read(tmp_path, build(without(**{"general.alignment": alignment}))).size
        for alignment in (32, 4096)
    }
    assert (sizes[4096] - 32 - 68) % 4096 == 0 and sizes[32] < sizes[4096]
    with pytest.raises(gguf.GgufError, match=r"general\.alignment is 0"):
        read(tmp_path, build(without(**{"general.alignment": 0})))


def test_cut_anywhere_is_found(tmp_path: Path) -> None:
    data = build()
    needed = read(tmp_path, data).size
    for length in range(needed):
        with pytest.raises(gguf.GgufError, match=r"truncated|not a GGUF"):
            checked(tmp_path, data[:length])


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "not a GGUF file: it begins with b''"),
        (b"PK\x03\x04 a zip archive", "not a GGUF file"),
        (b"<!DOCTYPE html>", "not a GGUF file"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version is 1"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "little-endian"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0), "claims 1152921504606846976 tensors"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**60), "claims 1152921504606846976 metadata keys"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**40), "claims 1099511627776 bytes of one text"),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", 9, 8, 2**40),
            "items of one list",
        ),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<I", 77), "type 77"),
        (
            b"GGUF"
            + struct.pack("<IQQ", 3, 0, 1)
            + text("k")
            + struct.pack("<I", 9)
            + struct.pack("<IQ", 9, 1) * 9,
            "type 9 of",
        ),
        (build(tensors=[("w", (4,), UNKNOWN, 4)]), "tensor w has type 99"),
        (build(tensors=[("w", (1,) * 5, F16, 2)]), "tensor w has 5 dimensions, possible are 4"),
    ],
)
def test_damaged_head(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(gguf.GgufError, match=message):
        read(tmp_path, data)


@pytest.mark.parametrize(
    "metadata, message",
    [
        (without(**{"general.architecture": "mamba"}), "architecture is 'mamba'; supported .*: llama, qwen2"),
        (without("general.architecture"), "architecture is None"),
        (without("tokenizer.ggml.model"), r"no tokenizer \(tokenizer.ggml.model"),
        (without("tokenizer.ggml.tokens"), r"no tokenizer \(tokenizer.ggml.tokens"),
        (without("tokenizer.ggml.pre"), "no tokenizer.ggml.pre"),
        (
            without(**{"tokenizer.ggml.pre": "home-made"}),
            "pre-tokenizer is 'home-made'.* Known: .*deepseek-r1-qwen, .*",
        ),
        (without(**{"split.count": 3}), "one of 3 parts.*--merge"),
    ],
)
def test_whole_but_not_to_be_served(tmp_path: Path, metadata: dict[str, Any], message: str) -> None:
    with pytest.raises(gguf.GgufError, match=message):
        checked(tmp_path, build(metadata))


def test_vocabulary_only(tmp_path: Path) -> None:
    with pytest.raises(gguf.GgufError, match="no weights"):
        checked(tmp_path, build(tensors=[]))


def test_sentencepiece_needs_no_pre_tokenizer(tmp_path: Path) -> None:
    checked(tmp_path, build(without("tokenizer.ggml.pre", **{"tokenizer.ggml.model": "llama"})))


def test_pre_tokenizers_of_a_newer_server(tmp_path: Path) -> None:
    data = build(without(**{"tokenizer.ggml.pre": "home-made"}))
    gguf.check(read(tmp_path, data), len(data), ["qwen2"], ["home-made"])


def test_long_lists_are_passed_over(tmp_path: Path) -> None:
    metadata = read(tmp_path, build()).metadata
    assert metadata["tokenizer.ggml.tokens"] == {"length": 50}
    assert metadata["tokenizer.ggml.token_type"] == {"length": 50}


def test_list_of_pre_tokenizers_is_of_the_locked_version() -> None:
    """Whoever raises the lock looks at the list, too (the C++ file is named beside it)."""
    locked = re.search(r"^llama-cpp-python==(\S+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    assert locked and locked.group(1) == gguf.LLAMA_CPP_PYTHON
    assert len(set(gguf.PRE_TOKENIZERS)) == len(gguf.PRE_TOKENIZERS)
