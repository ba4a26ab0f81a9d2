# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""What a directory in the form of Hugging Face holds: files, weights, and where it is from."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import math
import os
import re
import stat
import struct
import typing as t

#: The model card: only its front matter gets into the result.
CARD = "README.md"

#: Files of such directories that a conversion does not read, or that describe results instead of the model.
_PASSED_OVER = (
    ".*",
    "*.md",
    "LICENSE*",
    "*.gguf",
    "*.gguf.*",
    "*.bin",
    "*.pt",
    "*.pth",
    "manifest.json",
    "training.json",
)

#: Bytes of an element. Anything else is taken for packed weights of four bits.
_FLOATS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1}

#: More than the head of any real file.
_MOST_HEAD = 100 << 20

#: What would make two conversions of the same model differ, or tell where it was made.
_UNREPEATABLE = re.compile(r"^[/~]|://|\d{4}-\d\d-\d\d[T ]\d\d|^\d\d:\d\d")

Scalar = t.Union[str, int, float, bool]


class SourceError(ValueError):
    """The directory cannot be converted; the text says why and what to do."""


class Weights(t.NamedTuple):
    """Number of weights of a model, and of its largest tensor."""

    elements: int
    largest: int


def input_files(directory: str) -> dict[str, str]:
    """Return the files that a conversion reads, name and real path; SourceError when there are no weights."""
    if not os.path.isdir(directory):
        raise SourceError(
            f"source {directory!r} is not a directory; give the one with config.json and the weights"
        )
    found = {}
    for name in sorted(os.listdir(directory)):
        path = os.path.realpath(os.path.join(directory, name))
        if os.path.isfile(path) and not any(fnmatch.fnmatchcase(name, one) for one in _PASSED_OVER):
            found[name] = path
    if "config.json" not in found:
        raise SourceError(f"{directory} has no config.json; it is not a model in the form of Hugging Face")
    if not any(name.endswith(".safetensors") for name in found):
        raise SourceError(
            f"{directory} has no *.safetensors; other forms of weights (pickle) can run code and are not "
            "read: save the model as safetensors"
        )
    _check_index(directory, found)
    return found


def _check_index(directory: str, files: t.Mapping[str, str]) -> None:
    index = files.get("model.safetensors.index.json")
    if index is None:
        return
    try:
        with open(index, encoding="utf-8") as stream:
            parts = set(json.load(stream)["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(
            f"{directory}/model.safetensors.index.json is damaged: {error}; fetch it again"
        ) from error
    missing = sorted(str(part) for part in parts if part not in files)
    if missing:
        raise SourceError(
            f"{directory} lacks {', '.join(missing)}, which its index names; fetch the model again"
        )


def must_be_readable(files: t.Iterable[str]) -> None:
    """Raise SourceError unless the user inside the container may read every file."""
    closed = [path for path in files if not os.stat(path).st_mode & stat.S_IROTH]
    if closed:
        raise SourceError(
            f"{', '.join(closed)} cannot be read by the user inside the container; let all read it: chmod a+r"
        )


def front_matter(text: str) -> str:
    """Return the head of a model card between its ``---`` lines; empty when it has none."""
    lines = text.splitlines()
    if not lines or lines[0] != "---":
        return ""
    end = next((number for number, line in enumerate(lines[1:], 1) if line == "---"), len(lines))
    return "\n".join(lines[1:end])


def card_digest(directory: str) -> str:
    """Return the SHA-256 of the front matter of the model card; empty when there is none."""
    try:
        with open(os.path.join(directory, CARD), encoding="utf-8") as stream:
            head = front_matter(stream.read())
    except FileNotFoundError:
        return ""
    except ValueError as error:
        raise SourceError(f"{directory}/{CARD} is not text in UTF-8: {error}") from error
    return hashlib.sha256(head.encode()).hexdigest() if head else ""


def weights(paths: t.Iterable[str]) -> Weights:
    """Return how many weights safetensors files hold; SourceError when one is damaged or truncated."""
    counts = [count for path in paths for count in _tensors(path)]
    return Weights(sum(counts), max(counts, default=0))


def _tensors(path: str) -> list[int]:
    size = os.path.getsize(path)
    try:
        with open(path, "rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > min(size, _MOST_HEAD):
                raise ValueError(f"its head says that it is {length} bytes long")
            head = json.loads(stream.read(length))
        end, counts = 0, []
        for name, tensor in head.items():
            if name == "__metadata__":
                continue
            end = max(end, int(tensor["data_offsets"][1]))
            begin = int(tensor["data_offsets"][0])
            floating = tensor["dtype"] in _FLOATS
            counts.append(
                math.prod(tensor["shape"]) if floating else 2 * (int(tensor["data_offsets"][1]) - begin)
            )
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise SourceError(f"{path} is damaged: {error}; fetch it again") from error
    if size < 8 + length + end:
        raise SourceError(
            f"{path} is truncated: {size} bytes of {8 + length + end} are there; fetch it again"
        )
    return counts


def recorded_provenance(directory: str) -> dict[str, Scalar]:
    """Return what the directory itself says of where it is from; empty when it says nothing."""
    for name in ("training.json", ".snapshot.json"):
        try:
            with open(os.path.join(directory, name), encoding="utf-8") as stream:
                record = json.load(stream)
        except FileNotFoundError:
            continue
        except ValueError as error:
            raise SourceError(
                f"{directory}/{name} is not JSON: {error}; make the directory again, or give provenance"
            ) from error
        if name == "training.json":
            record = record.get("provenance") or {}
            return {str(key): value for key, value in record.items()}
        return {key: record[key] for key in ("repository", "commit") if record.get(key)}
    return {}


def check_provenance(provenance: t.Mapping[str, t.Any]) -> dict[str, Scalar]:
    """Return it when it can be repeated; SourceError when it holds a time, path, address or structure."""
    for key, value in provenance.items():
        if not re.match(r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$", str(key)):
            raise SourceError(
                f"provenance has the key {key!r}; allowed are small letters, digits and '_', and '.' between"
            )
        if not isinstance(value, (str, int, float)):
            raise SourceError(
                f"provenance.{key} is {value!r}; it must be a text or a number to stand in the file"
            )
        if isinstance(value, str) and _UNREPEATABLE.search(value):
            raise SourceError(
                f"provenance.{key} is {value!r}, which looks like a path, an address or a time; leave it "
                "out, so that converting the same model again makes the same file"
            )
    return dict(sorted(provenance.items()))
