# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Pure functions from what is wanted to inputs, metadata, needs and the container that does it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import typing as t

from ..podman.client import MANAGED_LABEL
from .source import CARD, Scalar, Weights

#: Version of the manifest's layout.
FORMAT = 1

#: Label of the image with the name and version of the converter.
CONVERTER_LABEL = MANAGED_LABEL + ".converter"

OUTTYPES = ("f32", "f16", "bf16", "q8_0")

#: What the quantiser makes without an importance matrix, and how many bits of each weight it takes at most,
#: with the few tensors that stay larger.
QUANTIZATIONS = {
    "none": 0.0,
    "Q2_K": 4.5,
    "Q3_K_S": 5.0,
    "Q3_K_M": 5.0,
    "Q3_K_L": 5.5,
    "Q4_0": 5.5,
    "Q4_1": 6.0,
    "Q4_K_S": 5.5,
    "Q4_K_M": 6.0,
    "Q5_0": 6.5,
    "Q5_1": 7.0,
    "Q5_K_S": 6.5,
    "Q5_K_M": 6.5,
    "Q6_K": 7.0,
    "Q8_0": 8.5,
    "IQ4_NL": 5.5,
    "IQ4_XS": 5.5,
}

_BYTES = {"f32": 4.0, "f16": 2.0, "bf16": 2.0, "q8_0": 34 / 32}

#: Measured with the converter image: Python with PyTorch, and bytes for each weight of the largest tensor.
_BASE_MEMORY = 600_000_000
_MEMORY_PER_WEIGHT = 10

#: Bytes for metadata and vocabulary beside the weights.
_MARGIN = 1 << 20


class Needs(t.NamedTuple):
    """What making the file takes, in bytes; the disk where it is made."""

    disk: int
    memory: int


def needs(weights: Weights, outtype: str, quantization: str, other_files: int) -> Needs:
    """Return an estimate that is rather too high.

    :param other_files: bytes of the files that are no weights: the vocabulary goes into the result.
    """
    beside = other_files + _MARGIN
    disk = weights.elements * _BYTES[outtype] + beside
    if quantization != "none":
        disk += weights.elements * QUANTIZATIONS[quantization] / 8 + beside
    return Needs(int(disk), _BASE_MEMORY + _MEMORY_PER_WEIGHT * weights.largest)


def default_name(provenance: t.Mapping[str, Scalar]) -> str:
    """Return what the model is called when nobody says: its repository's name, never the directory's."""
    return str(provenance.get("name") or str(provenance.get("repository", "")).rpartition("/")[2] or "model")


def inputs(
    files: t.Mapping[str, t.Mapping[str, t.Any]],
    card: str,
    settings: t.Mapping[str, str],
    provenance: t.Mapping[str, Scalar],
    converter: str,
) -> dict[str, t.Any]:
    """Return everything that decides about the result; another value anywhere means another file.

    :param files: size and sha256 by name.
    :param card: checksum of the model card's front matter, empty when there is none.
    :param settings: name, outtype and quantization.
    """
    return {
        "converter": converter,
        **settings,
        "provenance": dict(provenance),
        "card": card,
        "files": {name: dict(files[name]) for name in sorted(files)},
    }


def source_digest(files: t.Mapping[str, t.Mapping[str, t.Any]]) -> str:
    """Return one checksum for all files: that of ``sha256sum``'s lines, so that a person can repeat it."""
    lines = "".join(f"{files[name]['sha256']}  {name}\n" for name in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()


def metadata(wanted: t.Mapping[str, t.Any]) -> dict[str, Scalar]:
    """Return what is written into the file about where it is from; never a time, a path or an address."""
    return {
        **{f"private_ai.source.{key}": value for key, value in wanted["provenance"].items()},
        "private_ai.source.sha256": source_digest(wanted["files"]),
        "private_ai.conversion.converter": wanted["converter"],
        "private_ai.conversion.outtype": wanted["outtype"],
        "private_ai.conversion.quantization": wanted["quantization"],
    }


def directory_name(wanted: t.Mapping[str, t.Any]) -> str:
    """Return the name the source has inside the container: the converter reads size and version out of it."""
    repository = str(wanted["provenance"].get("repository", "")).rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", repository or wanted["name"]).strip("-.") or "model"


def container_name(dest: str) -> str:
    """Return the name of the container that makes ``dest``; one that is left over is found by it."""
    return f"private-ai-convert-{hashlib.sha256(dest.encode()).hexdigest()[:12]}"


def tool_params(
    command: str,
    wanted: t.Mapping[str, t.Any],
    files: t.Mapping[str, str],
    options: t.Mapping[str, t.Any],
    name: str,
    work: str | None,
) -> dict[str, t.Any]:
    """Return what :func:`run_tool` takes.

    Each file is mounted by itself: the converter sees what was checked and nothing else, links lead nowhere,
    and directories that are closed to the container's user do not matter.

    :param command: ``check`` or ``make``.
    :param files: name and path of what is mounted.
    :param options: image, ulimits, memory_limit, threads and keep_intermediate of the module.
    :param work: directory that is written to; None for ``check``.
    """
    directory = f"/source/{directory_name(wanted)}"
    plan = {
        "directory": directory,
        **{key: wanted[key] for key in ("name", "outtype", "quantization")},
        "metadata": metadata(wanted),
        "threads": options["threads"],
        "keep_intermediate": options["keep_intermediate"],
    }
    mounts: list[dict[str, t.Any]] = [
        {"source": path, "target": f"{directory}/{file}", "read_only": True}
        for file, path in sorted(files.items())
    ]
    if work:
        mounts.append({"source": work, "target": "/work"})
    return {
        "name": name,
        "image": options["image"],
        "argv": [command, json.dumps(plan, sort_keys=True)],
        "mounts": mounts,
        "ulimits": options["ulimits"],
        "memory": options["memory_limit"],
    }


def mounted(files: t.Mapping[str, str], directory: str, card: str) -> dict[str, str]:
    """Return the files that the container gets: the inputs, and the model card when its head counts."""
    return {**files, CARD: os.path.realpath(os.path.join(directory, CARD))} if card else dict(files)


def available_memory(meminfo: str) -> int | None:
    """Return the bytes of memory that can be used, from the text of /proc/meminfo; None when unknown."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo, re.MULTILINE)
    return int(found.group(1)) * 1024 if found else None


def size_in_bytes(text: str) -> int:
    """Return a size such as ``4g`` in bytes; ValueError when it is none."""
    found = re.match(r"^(\d+(?:\.\d+)?)([bkmg]?)$", text.lower())
    if not found:
        raise ValueError(
            f"memory_limit is {text!r}; it must be a number with b, k, m or g after it, such as '4g'"
        )
    return int(float(found.group(1)) * 1024 ** "bkmg".index(found.group(2) or "b"))
