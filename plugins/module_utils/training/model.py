# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""The model that a training begins with, and the one that it leaves: files, tensors, what they need."""

from __future__ import annotations

import fnmatch
import json
import math
import os
import struct
import typing as t

#: Files that make a model what it is; the rest of a repository (cards, pictures) does not matter.
PARTS = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
#: Written by this collection beside a model.
RECORDS = ("manifest.json", "training.json", ".snapshot.json")

#: More than any real header has.
MOST_HEADER = 200 << 20

_SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
_TRAINABLE = ("F32", "F16", "BF16")


class ModelError(ValueError):
    """A directory is not a model that can be trained; the text says why."""


def parts(folder: str) -> list[str]:
    """Return the names of the files that make the model, sorted."""
    return sorted(
        name
        for name in os.listdir(folder)
        if not name.startswith(".")
        and name not in RECORDS
        and any(fnmatch.fnmatch(name, pattern) for pattern in PARTS)
        and os.path.isfile(os.path.join(folder, name))
    )


def tensors(path: str) -> dict[str, dict[str, t.Any]]:
    """Return dtype and shape of each tensor of a safetensors file; ModelError when it is not whole."""
    size = os.path.getsize(path)
    with open(path, "rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else -1
        if not 0 < length <= min(MOST_HEADER, size - 8):
            raise ModelError(f"{path} is not a whole safetensors file; copy or download it again")
        try:
            header = json.loads(stream.read(length))
            header.pop("__metadata__", None)
            end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
            found = {name: {"dtype": e["dtype"], "shape": list(e["shape"])} for name, e in header.items()}
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise ModelError(f"{path} has a damaged header ({error}); copy or download it again") from error
    if size != 8 + length + end:
        raise ModelError(
            f"{path} has {size} bytes, its header tells of {8 + length + end}; copy or download it again"
        )
    return found


class Base(t.NamedTuple):
    """What is known of a model without loading it."""

    files: list[str]
    parameters: int
    dtype: str
    vocabulary: int
    hidden: int
    tied: bool


def _json(folder: str, name: str) -> dict[str, t.Any]:
    path = os.path.join(folder, name)
    try:
        with open(path, encoding="utf-8") as stream:
            found = json.load(stream)
    except FileNotFoundError as error:
        raise ModelError(f"{folder} has no {name}; a model in Hugging Face form is needed") from error
    except ValueError as error:
        raise ModelError(f"{path} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ModelError(f"{path} holds no object")
    return found


def read(folder: str) -> Base:
    """Return what is known of a model; ModelError when it cannot be trained."""
    if not os.path.isdir(folder):
        raise ModelError(f"base {folder!r} is not a directory; give one with a model in Hugging Face form")
    config = _json(folder, "config.json")
    settings = _json(folder, "tokenizer_config.json")
    if config.get("auto_map") or settings.get("auto_map"):
        raise ModelError(
            f"{folder} wants to run code of its own (auto_map), which is not done; "
            "take a model whose architecture transformers knows"
        )
    names = parts(folder)
    weights = [name for name in names if name.endswith(".safetensors")]
    if not weights:
        raise ModelError(f"{folder} has no *.safetensors; weights in another form (pickle) are not loaded")
    found: dict[str, dict[str, t.Any]] = {}
    for name in weights:
        found.update(tensors(os.path.join(folder, name)))
    missing = sorted(set(_indexed(folder)) - set(found))
    if missing:
        raise ModelError(f"{folder} lacks tensors that its index names ({missing[0]}); download it again")
    types = {entry["dtype"] for entry in found.values()}
    if not types or not types <= set(_TRAINABLE):
        raise ModelError(
            f"the weights of {folder} have the types {', '.join(sorted(types))}; "
            f"trained can be {', '.join(_TRAINABLE)}: take the unquantised model"
        )
    return Base(
        files=names,
        parameters=sum(math.prod(entry["shape"]) for entry in found.values()),
        dtype=max(types, key=lambda kind: _SIZES[kind]),
        vocabulary=int(config.get("vocab_size") or 0),
        hidden=int(config.get("hidden_size") or 0),
        tied="lm_head.weight" not in found,
    )


def _indexed(folder: str) -> t.Iterable[str]:
    if not os.path.isfile(os.path.join(folder, "model.safetensors.index.json")):
        return []
    named = _json(folder, "model.safetensors.index.json").get("weight_map")
    return named if isinstance(named, dict) else []


class Need(t.NamedTuple):
    """Bytes that a training needs at least."""

    memory: int
    work: int
    result: int


def estimate(base: Base, max_batch_len: int, dtype: str, keep_checkpoints: int, device: str) -> Need:
    """Return what a training needs at least; it may need more.

    ilab trains all weights in 32 bits. On a CPU weights and gradients are in memory, and for a batch the
    scores of every word of the vocabulary, some three times over.
    """
    # ilab gives an output layer of its own to models that share it with their embedding.
    trained = base.parameters + (base.vocabulary * base.hidden if base.tied else 0)
    program = 1_200_000_000
    memory = program + (
        8 * trained + 12 * max_batch_len * base.vocabulary if device == "cpu" else 4 * trained
    )
    # One more checkpoint is being written than is kept; going on from one copies it once more.
    work = 4 * trained * (keep_checkpoints + 2)
    return Need(memory, work, trained * (4 if dtype == "float32" else _SIZES[base.dtype]))


def available_memory(meminfo: str) -> int:
    """Return the bytes that ``/proc/meminfo`` says are available; 0 when it does not say."""
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
