# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Training data: which files they are, and whether every row of messages has the form that ilab takes."""

from __future__ import annotations

import hashlib
import json
import os
import typing as t

ROLES = ("system", "user", "assistant")

#: Problems that are told; the rest is counted.
TOLD = 20

#: What of a teacher decides the rows; where it is asked does not.
TEACHER = ("model", "family", "rows")

#: Files of a taxonomy that count; the documents of knowledge are for those who read it.
TAXONOMY_FILE = "qna.yaml"


class DataError(ValueError):
    """The data cannot be trained; the text says where and why."""


def tell(problems: t.Sequence[str], what: str) -> str:
    """Return one message for all problems."""
    more = f"; and {len(problems) - TOLD} more" if len(problems) > TOLD else ""
    return f"{what} cannot be trained: {'; '.join(problems[:TOLD])}{more}"


def row_problem(row: t.Any) -> str | None:
    """Return what is wrong with one row, None when nothing is."""
    if not isinstance(row, dict):
        return f"it is {_kind(row)}, not an object with the key messages"
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        return "it has no messages, a list of {role, content}"
    before = ""
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict):
            return f"message {number} is {_kind(message)}, not an object with role and content"
        role, content = message.get("role"), message.get("content")
        if role not in ROLES:
            return f"message {number} has the role {role!r}, known are {', '.join(ROLES)}"
        if not isinstance(content, str) or not content.strip():
            return f"message {number} ({role}) has no text in content"
        if role == "system" and number > 1:
            return f"message {number} has the role system, which may be the first one only"
        if role == before or (role == "assistant" and before != "user"):
            after = before or "nothing"
            return f"message {number} has the role {role} after {after}, but user and assistant take turns"
        before = role
    if before != "assistant":
        return f"its last message has the role {before}, it must be an answer (assistant)"
    return None


def _kind(value: t.Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", type(None): "null", bool: "true or false"}
    return names.get(type(value), "a number")


def check_rows(path: str) -> int:
    """Return the number of rows of a JSON lines file; DataError with the line of each problem.

    OSError when it cannot be read.
    """
    problems: list[str] = []
    rows = 0
    with open(path, "rb") as stream:
        for number, raw in enumerate(stream, 1):
            if not raw.strip():
                continue
            rows += 1
            try:
                problem = row_problem(json.loads(raw.decode("utf-8")))
            except UnicodeDecodeError as error:
                problem = f"it is not UTF-8 (byte {error.start + 1})"
            except json.JSONDecodeError as error:
                problem = f"it is not JSON: {error.msg} (character {error.pos + 1})"
            if problem:
                problems.append(f"line {number}: {problem}")
    if problems:
        raise DataError(tell(problems, path))
    if not rows:
        raise DataError(f"{path} holds no row; write one conversation on each line, {{'messages': [...]}}")
    return rows


def taxonomy_files(folder: str) -> list[str]:
    """Return the qna.yaml files below a directory, as sorted relative paths; DataError when there is none."""
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if TAXONOMY_FILE in files:
            found.append(os.path.relpath(os.path.join(root, TAXONOMY_FILE), folder))
    if not found:
        raise DataError(
            f"{folder} holds no {TAXONOMY_FILE}; put one into each folder below knowledge/ or "
            "compositional_skills/"
        )
    return sorted(found)


def digest(params: t.Mapping[str, t.Any], sha256: t.Callable[[str], str]) -> dict[str, t.Any]:
    """Return what of the data decides whether a model is the same: kind and checksum; DataError otherwise.

    :param sha256: checksum of a file by its path.
    """
    kind = "messages" if params.get("data") else "taxonomy"
    path = params.get("data") or params["taxonomy"]
    there = os.path.isfile(path) if kind == "messages" else os.path.isdir(path)
    if not there:
        form = "a file of JSON lines" if kind == "messages" else "a directory with qna.yaml files"
        raise DataError(f"{path!r} is not there; give {form} on this host")
    if kind == "messages":
        return {"kind": kind, "sha256": sha256(path)}
    files = {name: sha256(os.path.join(path, name)) for name in taxonomy_files(path)}
    text = json.dumps(files, sort_keys=True)
    found = {"kind": kind, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    teacher = params.get("teacher")
    return {**found, "teacher": {name: teacher[name] for name in TEACHER}} if teacher else found
