# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""What a model was made from, so that a later run sees at a glance whether anything is different.

Settings count by their values, files by what their file system says of them: nothing large is read. Without a
note every step looks for itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import typing as t

from .files import write_file

FORMAT = 1


def digest(value: t.Any) -> str:
    """Return a checksum of any JSON value."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _state(path: str) -> list[int]:
    found = os.stat(path)
    # The last one is the time that nobody can set.
    return [found.st_dev, found.st_ino, found.st_size, found.st_mode, found.st_mtime_ns, found.st_ctime_ns]


def fingerprint(path: str) -> str:
    """Return a checksum of the state of a file, or of all files below a directory."""
    if not os.path.isdir(path):
        return digest(_state(path) if os.path.exists(path) else None)
    found: dict[str, t.Any] = {}
    for root, folders, names in os.walk(path):
        folders.sort()
        # A directory's times change with what is in it, and with what is only there for a moment.
        about = os.stat(root)
        found[os.path.join(os.path.relpath(root, path), "")] = [about.st_mode, about.st_uid, about.st_gid]
        for name in names:
            full = os.path.join(root, name)
            found[os.path.relpath(full, path)] = _state(full) if os.path.exists(full) else None
    return digest(found)


def fingerprints(paths: t.Iterable[str]) -> dict[str, str]:
    """Return the fingerprint of each path."""
    return {path: fingerprint(path) for path in sorted(set(paths))}


def note(
    settings: t.Mapping[str, t.Any], inputs: t.Mapping[str, str], results: t.Mapping[str, str], sha256: str
) -> dict[str, t.Any]:
    """Return what is kept: a checksum of each setting and file, and the model that came out."""
    return {
        "format": FORMAT,
        "model": sha256,
        "settings": {name: digest(value) for name, value in settings.items()},
        "inputs": dict(inputs),
        "results": dict(results),
    }


def differences(old: t.Mapping[str, t.Any] | None, new: t.Mapping[str, t.Any]) -> list[str]:
    """Return the names of settings and files that are others than noted, all of them without a note."""
    found = [] if old and old.get("model") == new["model"] else ["model"]
    for kind in ("settings", "inputs", "results"):
        before, after = (old or {}).get(kind), new[kind]
        before = before if isinstance(before, dict) else {}
        found += sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return found


def read(path: str) -> dict[str, t.Any] | None:
    """Return the note; None when there is none that can be understood."""
    try:
        with open(path, encoding="utf-8") as stream:
            found = json.load(stream)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("format") == FORMAT else None


def write(path: str, content: t.Mapping[str, t.Any]) -> None:
    """Replace the note, whole or not at all."""
    write_file(path, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode(), 0o600)
