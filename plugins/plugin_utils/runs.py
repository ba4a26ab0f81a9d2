# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which run of Ansible this is, and whether another one has ended."""

from __future__ import annotations

import multiprocessing
import os
import platform
import typing as t

Run = dict[str, t.Any]


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read().strip()
    except OSError:
        return ""


def started(pid: int) -> str:
    """Return when a process of this machine started, in ticks; empty when none can be seen."""
    # The second field is the program's name in parentheses and may hold anything.
    fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    # Z: it has ended, and only its parent has not asked for that yet.
    return fields[19] if len(fields) > 19 and fields[0] != "Z" else ""


def this() -> Run:
    """Return what is known of this run: its process, and the machine and container that it is in."""
    parent = multiprocessing.parent_process()
    # Tasks run in processes of their own, below the one that all of them share.
    pid = (parent.pid if parent else None) or os.getpid()
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    where = [_text("/proc/sys/kernel/random/boot_id"), space]
    name = platform.node()
    return {
        "id": "/".join([*where, name, str(pid), started(pid)]),
        "where": where,
        "pid": pid,
        "started": started(pid),
        "host": name,
    }


def ended(other: Run, own: Run) -> bool:
    """Return whether another run is known to have ended; of other machines and containers none is."""
    if not all(own["where"]) or other.get("where") != own["where"] or not isinstance(other.get("pid"), int):
        return False
    return started(other["pid"]) != other.get("started")
