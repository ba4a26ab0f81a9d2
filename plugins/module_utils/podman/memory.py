# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""What the preflight found, kept until the host changes."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import typing as t

from ..files import write_file


def circumstances(path: str, runtimes: list[str]) -> str:
    """Return a checksum of everything that decides how containers start on this host."""
    seen: list[object] = [
        os.geteuid(),
        [resource.getrlimit(limit) for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC)],
    ]
    for program in (path, *sorted(filter(None, map(shutil.which, runtimes)))):
        found = os.stat(program)
        seen.append((program, found.st_size, found.st_mtime_ns))
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
        seen.append(stream.read().strip())
    seen.append({name: os.environ.get(name) for name in ("CONTAINERS_CONF", "XDG_RUNTIME_DIR")})
    return hashlib.sha256(repr(seen).encode()).hexdigest()


def recall(cache_file: str, key: str) -> dict[str, t.Any] | None:
    """Return the facts found under the same circumstances; None when there are none or they are damaged."""
    try:
        with open(cache_file, encoding="utf-8") as stream:
            kept = json.load(stream)
        if kept["circumstances"] != key:
            return None
        free = os.statvfs(kept["podman"]["graph_root"])
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return {**kept["podman"], "graph_root_free_mb": free.f_bavail * free.f_frsize // (1024 * 1024)}


def keep(cache_file: str, key: str, facts: dict[str, t.Any]) -> None:
    """Keep the facts; OSError when the file cannot be written."""
    os.makedirs(os.path.dirname(cache_file), exist_ok=True)
    write_file(cache_file, json.dumps({"circumstances": key, "podman": facts}, indent=1).encode(), 0o644)
