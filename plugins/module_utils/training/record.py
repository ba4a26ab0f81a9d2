# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!
"""The record beside a trained model: what it was made from, and whether the two still agree."""

from __future__ import annotations

import hashlib
import json
import os
import typing as t

RECORD = "training.json"
FORMAT = 1

#: What decides whether a model is trained anew. Versions do not: an upgrade alone costs no day of training.
INPUTS = ("base", "data", "hyperparameters")

#: ilab's own, for its full pipeline; no option of it changes them.
FIXED = {"learning_rate": 2e-5, "optimizer": "Adafactor"}


def wanted(
    params: t.Mapping[str, t.Any], base: t.Mapping[str, str], data: t.Mapping[str, t.Any]
) -> dict[str, t.Any]:
    """Return the inputs of the training that is asked for.

    :param base: SHA-256 of each file of the base by its name.
    :param data: see data.digest.
    """
    names = ("epochs", "effective_batch_size", "max_batch_len", "max_seq_len", "device", "dtype")
    hyperparameters = {name: params[name] for name in names}
    if params["device"] == "cpu":
        hyperparameters.update(FIXED)
    return {"base": dict(sorted(base.items())), "data": dict(data), "hyperparameters": hyperparameters}


def digest(inputs: t.Mapping[str, t.Any]) -> str:
    """Return the checksum of the inputs: the name of the work that is under way for them."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def read(folder: str) -> dict[str, t.Any] | None:
    """Return the record of a directory, None when it has none that can be understood."""
    try:
        with open(os.path.join(folder, RECORD), encoding="utf-8") as stream:
            found = json.load(stream)
    except (OSError, ValueError):
        return None
    if (
        not isinstance(found, dict)
        or found.get("format") != FORMAT
        or not isinstance(found.get("files"), dict)
    ):
        return None
    return found


def inputs_of(record: t.Mapping[str, t.Any] | None) -> dict[str, t.Any]:
    """Return what a record says it was made from; of the data only what decides."""
    if not record:
        return {}
    found = {name: record.get(name) for name in INPUTS}
    data = record.get("data") or {}
    found["data"] = {name: data.get(name) for name in ("kind", "sha256", "teacher") if name in data}
    return found


def drift(folder: str, record: t.Mapping[str, t.Any], sha256: t.Callable[[str], str]) -> dict[str, str]:
    """Return what is not as the record says, by file: missing, changed, added or not readable by all."""
    found: dict[str, str] = {}
    for name, entry in record["files"].items():
        path = os.path.join(folder, name)
        if not os.path.isfile(path):
            found[name] = "missing"
        elif os.path.getsize(path) != entry["size"] or sha256(path) != entry["sha256"]:
            found[name] = "changed"
        elif not os.stat(path).st_mode & 0o004:
            found[name] = "not readable by all"
    found.update(
        {name: "added" for name in os.listdir(folder) if name not in record["files"] and name != RECORD}
    )
    return found


def source(base: str) -> dict[str, t.Any]:
    """Return where the base came from, as the record of its download says; empty when there is none."""
    try:
        with open(os.path.join(base, ".snapshot.json"), encoding="utf-8") as stream:
            found = json.load(stream)
    except (OSError, ValueError):
        return {}
    names = ("repository", "commit")
    return {
        name: found[name] for name in names if isinstance(found, dict) and isinstance(found.get(name), str)
    }


def record(
    name: str,
    inputs: t.Mapping[str, t.Any],
    base_source: t.Mapping[str, t.Any],
    outcome: t.Mapping[str, t.Any],
    files: t.Mapping[str, t.Mapping[str, t.Any]],
) -> dict[str, t.Any]:
    """Return the record of a finished training; it holds no time and no path.

    :param outcome: the result of the program in the training image.
    :param files: size and SHA-256 of each file by its name.
    """
    provenance = {
        "name": name,
        **{f"base_{key}": value for key, value in base_source.items()},
        "base_sha256": digest(inputs["base"]),
        "data_sha256": inputs["data"]["sha256"],
        "data_rows": outcome["data"]["rows"],
        **({"teacher": inputs["data"]["teacher"]["model"]} if "teacher" in inputs["data"] else {}),
        "epochs": inputs["hyperparameters"]["epochs"],
        "instructlab": outcome["versions"].get("instructlab", ""),
    }
    return {
        "format": FORMAT,
        "provenance": provenance,
        "base": inputs["base"],
        "base_source": dict(base_source),
        "data": {**inputs["data"], **outcome["data"]},
        "hyperparameters": inputs["hyperparameters"],
        "outcome": {
            key: outcome[key] for key in ("epochs", "interruptions", "dtype", "parameters") if key in outcome
        },
        "versions": dict(outcome["versions"]),
        "files": {key: dict(files[key]) for key in sorted(files)},
    }


def to_json(content: t.Mapping[str, t.Any]) -> bytes:
    """Return the file's content."""
    return (json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
