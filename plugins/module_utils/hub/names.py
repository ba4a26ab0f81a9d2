# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Which files of a repository may be written to this host, by their names alone."""

from __future__ import annotations

import re
import typing as t

#: Beside the files of the repository: what the snapshot is.
MANIFEST = ".snapshot.json"

#: Formats that hold data and nothing that a loader runs. All else (pickles, archives, programs) is unsafe.
SAFE_SUFFIXES = frozenset(
    "bpe csv gguf gif jinja jpeg jpg json jsonl md merges model parquet pdf png safetensors spm svg "
    "tiktoken tsv txt vocab wav webp yaml yml".split()
)
#: Files without a suffix that are text by custom.
SAFE_NAMES = frozenset(".gitattributes .gitignore authors copying license notice readme version".split())

#: What a model's parameters come in; a snapshot without any of it is of no use.
WEIGHTS = frozenset(("gguf", "safetensors"))

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE = re.compile(r"^[A-Za-z]:")


def _suffix(name: str) -> str:
    base = name.rpartition("/")[2]
    return base.rpartition(".")[2].lower() if "." in base.lstrip(".") else ""


def is_safe_format(name: str) -> bool:
    """Return whether a file's format is one from which nothing is run when it is loaded."""
    return _suffix(name) in SAFE_SUFFIXES or name.rpartition("/")[2].lower() in SAFE_NAMES


def has_weights(names: t.Iterable[str]) -> bool:
    """Return whether any of the files holds parameters of a model in a safe format."""
    return any(_suffix(name) in WEIGHTS for name in names)


def problem_of(name: str) -> str | None:
    """Return why a name cannot be written below a directory, None when it can."""
    parts = name.split("/")
    if name.startswith("/") or _DRIVE.match(name):
        return "is an absolute path"
    if _CONTROL.search(name):
        return "holds a control character"
    if "\\" in name:
        return "holds a backslash"
    if ".." in parts:
        return "leads out of the directory"
    if "" in parts or "." in parts:
        return "is not a plain path"
    if any(len(part.encode("utf-8", "surrogatepass")) > 255 for part in parts) or len(name) > 1000:
        return "is too long (255 bytes for each part, 1000 characters together)"
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return "is not valid Unicode"
    if parts[0] == MANIFEST:
        return "is the name that this collection's own record has"
    return None


def first_problem(names: t.Sequence[str]) -> str | None:
    """Return what is wrong with the first name that cannot be written, or with names that collide."""
    for name in names:
        problem = problem_of(name)
        if problem:
            return f"{name!r} {problem}"
    seen = set(names)
    if len(seen) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        return f"{twice!r} is listed twice"
    for name in names:
        parts = name.split("/")
        for end in range(1, len(parts)):
            above = "/".join(parts[:end])
            if above in seen:
                return f"{above!r} is a file and a directory at once"
    return None
