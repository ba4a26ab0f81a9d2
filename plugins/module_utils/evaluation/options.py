# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Options of an evaluation that make sense, and what is told of its outcome."""

from __future__ import annotations

import typing as t

HIDDEN = "<hidden>"


def share_of(name: str, value: t.Any) -> float:
    """Return a share of answers; ValueError when it is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0.0 <= number <= 1.0:
        raise ValueError(f"{name} is {value!r}; a number from 0 to 1 is expected")
    return number


def read_key(params: t.Mapping[str, t.Any]) -> str | None:
    """Return the key, without what an editor puts at its end; ValueError when its file holds none."""
    path = params["api_key_file"]
    if not path:
        return t.cast("str | None", params["api_key"])
    try:
        with open(path, encoding="utf-8") as stream:
            key = stream.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"api_key_file {path!r} cannot be read: {error}; name the file with the key"
        ) from error
    if not key or "\n" in key:
        raise ValueError(f"api_key_file {path!r} holds no key; it has to stand there alone on one line")
    return key


def without_key(value: t.Any, key: str | None) -> t.Any:
    """Return what a server said without the key, in case it repeats it."""
    if not key:
        return value
    if isinstance(value, dict):
        return {name: without_key(entry, key) for name, entry in value.items()}
    return value.replace(key, HIDDEN) if isinstance(value, str) else value


def figures(report: t.Mapping[str, t.Any] | None) -> dict[str, t.Any] | None:
    """Return what is told of a report."""
    return None if report is None else {**report["total"], "languages": report["languages"]}
