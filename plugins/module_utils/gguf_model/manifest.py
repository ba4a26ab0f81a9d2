# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""The manifest beside a converted model: what it was made from, and its checksum."""

from __future__ import annotations

import json
import os
import stat
import typing as t

from ..files import Checksums
from .plan import FORMAT

#: How the file and its manifest go together, in the words of the diff.
AS_MADE, OTHER, UNKNOWN = "as its manifest says", "not as its manifest says", "without a manifest"


def path_of(dest: str) -> str:
    """Return where the manifest of a file is."""
    return f"{dest}.manifest.json"


def intermediate_of(dest: str, outtype: str) -> str:
    """Return where the file before quantising is kept when it is asked for."""
    return f"{dest.removesuffix('.gguf')}.{outtype}.gguf"


def build(
    wanted: t.Mapping[str, t.Any],
    dest: str,
    size: int,
    sha256: str,
    intermediate: t.Mapping[str, t.Any] | None,
) -> dict[str, t.Any]:
    """Return the manifest; it holds no time and no path, so that the same inputs give the same manifest."""
    return {
        "format": FORMAT,
        "inputs": dict(wanted),
        "file": {"name": os.path.basename(dest), "size": size, "sha256": sha256},
        "intermediate": dict(intermediate) if intermediate else None,
    }


def encode(manifest: t.Mapping[str, t.Any]) -> bytes:
    """Return the manifest as it stands in its file."""
    return (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode()


def read(dest: str) -> dict[str, t.Any]:
    """Return the manifest of a file; empty when there is none that can be understood."""
    try:
        with open(path_of(dest), encoding="utf-8") as stream:
            found = json.load(stream)
    except (OSError, ValueError):
        return {}
    known = isinstance(found, dict) and found.get("format") == FORMAT
    return found if known and isinstance(found.get("inputs"), dict) else {}


def observe(dest: str, checksums: Checksums) -> dict[str, t.Any]:
    """Return what is at ``dest`` in the words of :func:`desired`; empty when there is nothing."""
    manifest = read(dest)
    if not os.path.isfile(dest):
        return {}
    recorded = manifest.get("file") or {}
    content = UNKNOWN
    if recorded:
        # Reading a large file of another size would be a waste.
        same = os.path.getsize(dest) == recorded.get("size") and checksums.sha256(dest) == recorded.get(
            "sha256"
        )
        content = AS_MADE if same else OTHER
    kept = manifest.get("intermediate") or {}
    beside = os.path.join(os.path.dirname(dest), str(kept.get("name")))
    return {
        **manifest.get("inputs", {}),
        "content": content,
        "mode": f"{stat.S_IMODE(os.stat(dest).st_mode):04o}",
        "intermediate": bool(kept) and os.path.isfile(beside) and os.path.getsize(beside) == kept.get("size"),
    }


def desired(wanted: t.Mapping[str, t.Any], keep_intermediate: bool) -> dict[str, t.Any]:
    """Return what is wanted at ``dest``."""
    kept = keep_intermediate and wanted["quantization"] != "none"
    return {**wanted, "content": AS_MADE, "mode": "0644", "intermediate": kept}


def must_be_made(before: t.Mapping[str, t.Any], after: t.Mapping[str, t.Any]) -> bool:
    """Return whether the file has to be made, not only its mode or what is beside it put right."""
    made = {key for key in after if key not in ("mode", "intermediate")}
    other = any(before.get(key) != after[key] for key in made)
    return other or (bool(after["intermediate"]) and not before.get("intermediate"))


def belonging(dest: str) -> list[str]:
    """Return the paths that belong to ``dest`` and exist: itself, its manifest, what was kept."""
    kept = (read(dest).get("intermediate") or {}).get("name")
    paths = [dest, path_of(dest)]
    if kept and os.path.basename(str(kept)) == kept:
        paths.append(os.path.join(os.path.dirname(dest), kept))
    return [path for path in paths if os.path.lexists(path)]
