# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Reads the head of a GGUF file (versions 2 and 3) without loading it, and says whether the file is whole.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import os
import struct
import typing as t

MAGIC = b"GGUF"
#: More than any real file has; beyond them the file is broken or hostile.
MOST_KEYS, MOST_TENSORS, MOST_TEXT, MOST_ITEMS = 100_000, 1_000_000, 16 << 20, 20_000_000
#: Of a tensor; the format's own limit.
MOST_DIMENSIONS = 4

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9

#: Tensor types: name, elements of a block, bytes of a block.
_TYPES = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 36),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36),
    41: ("Q1_0", 128, 18),
    42: ("Q2_0", 64, 18),
}

#: The llama-cpp-python of the serving image, from whose llama.cpp (src/llama-vocab.cpp) the list below is.
LLAMA_CPP_PYTHON = "0.3.36"

#: Pre-tokenizers that it knows. A byte-pair vocabulary with another one ends in "unknown pre-tokenizer type".
# fmt: off
PRE_TOKENIZERS = (
    "a.x-4.0", "afmoe", "bailingmoe", "bailingmoe2", "bloom", "chameleon", "chatglm-bpe", "codeshell",
    "cohere2moe", "command-r", "dbrx", "deepseek-coder", "deepseek-llm", "deepseek-r1-qwen",
    "deepseek-v3", "default", "exaone", "exaone-moe", "exaone4", "f2llmv2", "falcon", "falcon-h1",
    "falcon3", "gemma4", "gigachat", "glm4", "glm5", "gpt-2", "gpt-4o", "gpt3-finnish", "granite-docling",
    "granite-embed-multi-311m", "granite-embed-multi-97m", "grok-2", "hunyuan", "hunyuan-dense", "hy_v4",
    "jais", "jais-2", "jina-de", "jina-es", "jina-v1-en", "jina-v2-code", "jina-v2-de", "jina-v2-es",
    "jina-v5-nano", "joyai-llm", "kanana2", "kimi-k2", "kormo", "laguna", "lfm2", "llada-moe",
    "llama-bpe", "llama-v3", "llama3", "llama4", "megrez", "mellum", "mellum2", "midm-2.0", "minerva-7b",
    "minicpm5", "minimax-m2", "modern-bert", "mpt", "olmo", "phi-2", "pixtral", "poro-chat", "qwen2",
    "qwen35", "refact", "roberta-bpe", "sarvam-moe", "seed-coder", "smaug-bpe", "smollm", "solar-open",
    "spark2_5", "stablelm2", "starcoder", "superbpe", "talkie", "tekken", "tiny_aya", "trillion",
    "ufakzeka", "viking", "whitespace", "youtu",
)
# fmt: on

#: Kinds of tokenizers (tokenizer.ggml.model) with a byte-pair vocabulary: the pre-tokenizer matters.
_BYTE_PAIR = ("gpt2",)

#: Arrays longer than this are passed over, only their length is kept (vocabularies have 150 000 words).
_KEEP = 16


class GgufError(ValueError):
    """The file cannot be served; the text says why."""


class Reader:
    """Takes values from a stream and fails in words when it ends early."""

    def __init__(self, stream: t.BinaryIO) -> None:
        self.stream = stream

    def take(self, count: int) -> bytes:
        """Return exactly ``count`` bytes."""
        data = self.stream.read(count)
        if len(data) != count:
            raise GgufError("it is truncated: the file ends inside its header; copy or download it again")
        return data

    def number(self, form: str) -> t.Any:
        """Return one little-endian number of a struct format."""
        return struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))[0]

    def count(self, what: str, most: int) -> int:
        """Return a count that is not absurd."""
        value = self.number("Q")
        if value > most:
            raise GgufError(f"its header is damaged: it claims {value} {what}, at most {most} are possible")
        return int(value)

    def text(self) -> str:
        """Return a string."""
        return self.take(self.count("bytes of one text", MOST_TEXT)).decode("utf-8", "replace")

    def value(self, kind: int, depth: int = 0) -> t.Any:
        """Return one metadata value; of a long array only ``{"length": n}``."""
        if kind == _STRING:
            return self.text()
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        if kind != _ARRAY or depth > 2:
            raise GgufError(f"its header is damaged: type {kind} of a value is unknown")
        inner = self.number("I")
        length = self.count("items of one list", MOST_ITEMS)
        if length <= _KEEP:
            return [self.value(inner, depth + 1) for dummy in range(length)]
        if inner in _SCALARS:
            self.stream.seek(struct.calcsize(f"<{_SCALARS[inner]}") * length, os.SEEK_CUR)
        else:
            for dummy in range(length):
                self.value(inner, depth + 1)
        return {"length": length}


class Header(t.NamedTuple):
    """What a GGUF file says of itself: metadata, parameters by tensor type, the size it must have (bytes)."""

    version: int
    metadata: dict[str, t.Any]
    parameters: dict[str, int]
    size: int


def read_header(path: str) -> Header:
    """Read the header; GgufError when it is no GGUF or damaged, OSError when it cannot be read."""
    with open(path, "rb") as stream:
        reader = Reader(stream)
        magic = stream.read(4)
        if magic != MAGIC:
            raise GgufError(f"it is not a GGUF file: it begins with {magic!r}, a GGUF file with {MAGIC!r}")
        version = reader.number("I")
        if version not in (2, 3):
            raise GgufError(
                f"its GGUF version is {version}; 2 and 3 (little-endian) can be read; convert it again"
            )
        tensors = reader.count("tensors", MOST_TENSORS)
        keys = reader.count("metadata keys", MOST_KEYS)
        metadata: dict[str, t.Any] = {}
        for dummy in range(keys):
            name = reader.text()
            metadata[name] = reader.value(reader.number("I"))
        parameters: dict[str, int] = {}
        end = 0
        for dummy in range(tensors):
            name = reader.text()
            dimensions = reader.number("I")
            if dimensions > MOST_DIMENSIONS:
                raise GgufError(
                    f"its header is damaged: tensor {name} has {dimensions} dimensions, "
                    f"possible are {MOST_DIMENSIONS}"
                )
            shape = [reader.number("Q") for dummy in range(dimensions)]
            kind, offset = reader.number("I"), reader.number("Q")
            if kind not in _TYPES:
                raise GgufError(
                    f"tensor {name} has type {kind}, not known here; quantize the model in another way"
                )
            label, block, size = _TYPES[kind]
            elements = math.prod(shape)
            parameters[label] = parameters.get(label, 0) + elements
            end = max(end, offset + -(-elements // block) * size)
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or isinstance(alignment, bool) or alignment < 1:
            raise GgufError(f"its header is damaged: general.alignment is {alignment!r}")
        # Without tensors there is nothing to align.
        start = -(-stream.tell() // alignment) * alignment if tensors else stream.tell()
    return Header(version, metadata, parameters, start + end)


def check(
    header: Header,
    actual: int,
    architectures: t.Sequence[str],
    pre_tokenizers: t.Sequence[str] = PRE_TOKENIZERS,
) -> None:
    """Raise GgufError unless the file is whole and of a kind that can be served.

    :param actual: size of the file in bytes.
    """
    metadata = header.metadata
    if actual < header.size:
        raise GgufError(
            f"it is truncated: {actual} bytes of {header.size} are there; copy or download it again"
        )
    parts = metadata.get("split.count", 0)
    if isinstance(parts, int) and parts > 1:
        raise GgufError(
            f"it is one of {parts} parts of a model; join them into one file (llama-gguf-split --merge)"
        )
    architecture = metadata.get("general.architecture")
    if architecture not in architectures:
        raise GgufError(
            f"its architecture is {architecture!r}; supported (option architectures): "
            f"{', '.join(sorted(architectures))}"
        )
    if not header.parameters:
        raise GgufError("it holds no weights; this is a vocabulary or an empty file")
    _check_tokenizer(metadata, pre_tokenizers)


def _check_tokenizer(metadata: t.Mapping[str, t.Any], pre_tokenizers: t.Sequence[str]) -> None:
    kind = metadata.get("tokenizer.ggml.model")
    if not kind or "tokenizer.ggml.tokens" not in metadata:
        missing = "tokenizer.ggml.tokens" if kind else "tokenizer.ggml.model"
        raise GgufError(
            f"it holds no tokenizer ({missing} is missing); convert the model again with its tokenizer files"
        )
    if kind not in _BYTE_PAIR:
        return
    pre = metadata.get("tokenizer.ggml.pre")
    if not pre:
        raise GgufError(
            "it does not say how text is split before its byte-pair words apply (no tokenizer.ggml.pre); "
            "its answers would be poor: convert the model again with a newer converter"
        )
    if pre not in pre_tokenizers:
        raise GgufError(
            f"its pre-tokenizer is {pre!r}, which llama-cpp-python {LLAMA_CPP_PYTHON} does not know; "
            f"convert the model again, or serve it with a newer one (option pre_tokenizers). Known: "
            f"{', '.join(sorted(pre_tokenizers))}"
        )


def describe(header: Header, size: int, sha256: str) -> dict[str, t.Any]:
    """Return what users want to know of a model."""
    metadata = header.metadata
    architecture = metadata.get("general.architecture", "")
    return {
        "architecture": architecture,
        "name": metadata.get("general.name", ""),
        "parameters": sum(header.parameters.values()),
        "quantization": max(header.parameters, key=lambda label: header.parameters[label], default=""),
        "context_length": metadata.get(f"{architecture}.context_length", 0),
        "tokenizer": metadata.get("tokenizer.ggml.model", ""),
        "pre_tokenizer": metadata.get("tokenizer.ggml.pre", ""),
        "chat_template": bool(metadata.get("tokenizer.chat_template")),
        "size": size,
        "sha256": sha256,
    }
