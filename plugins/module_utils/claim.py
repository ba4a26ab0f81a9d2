# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Which run may change what a host serves: a file beside the models says so while it does."""

from __future__ import annotations

import json
import os
import time
import typing as t

from .directories import Lock
from .files import write_file

FORMAT = 1

#: The file, in the store.
NAME = ".run.json"

#: Seconds after which a run counts as ended of which nobody can know.
LIFE = 7200

#: Seconds that reading and writing the file may take.
_BRIEF = 10.0

Run = t.Mapping[str, t.Any]


class Held(ValueError):
    """Another run has it; `holder` is that run."""

    def __init__(self, path: str, holder: Run, age: float) -> None:
        super().__init__(
            f"another run (process {holder.get('pid')} on {holder.get('host')}, for {int(age)} s) is "
            "changing what this host serves; wait until it has ended, then try again. A run that was killed "
            f"counts for {LIFE // 3600} hours where nobody can see that it ended; to go on before, remove "
            f"{path}"
        )
        self.holder = dict(holder)


def _read(path: str) -> dict[str, t.Any] | None:
    """Return what the file says; None without one that can be understood."""
    try:
        with open(path, encoding="utf-8") as stream:
            found = json.load(stream)
    except (OSError, ValueError):
        return None
    known = isinstance(found, dict) and found.get("format") == FORMAT and isinstance(found.get("run"), dict)
    return found if known and isinstance(found.get("since"), (int, float)) else None


def _lock(path: str) -> Lock:
    return Lock(f"{path}.lock", _BRIEF, lambda _text: None)


def take(root: str, run: Run, ended: str = "", now: t.Callable[[], float] = time.time) -> None:
    """Let ``run`` have it; Held when another run has it.

    :param run: id, pid and host of the run on its control node.
    :param ended: id of a run that is known to have ended.
    """
    path = os.path.join(root, NAME)
    with _lock(path):
        found = _read(path)
        if found and found["run"].get("id") not in (run["id"], ended):
            age = now() - found["since"]
            # A clock that was set back must not make it last for ever.
            if 0 <= age < LIFE:
                raise Held(path, found["run"], age)
        content = {"format": FORMAT, "run": dict(run), "since": now()}
        write_file(path, (json.dumps(content, sort_keys=True) + "\n").encode(), 0o600)


def give_back(root: str, run: Run) -> None:
    """Let others have it, if ``run`` had it."""
    path = os.path.join(root, NAME)
    if not os.path.exists(path):
        return
    with _lock(path):
        found = _read(path)
        if found and found["run"].get("id") == run["id"]:
            os.unlink(path)
