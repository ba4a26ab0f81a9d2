# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""What a training is made from: options that make sense, a base and data that can be read."""

from __future__ import annotations

import os
import typing as t

from . import data, model, record

#: Least values of the numbers.
LEAST = {
    "epochs": 1,
    "effective_batch_size": 1,
    "max_batch_len": 20,
    "max_seq_len": 21,
    "threads": 0,
    "keep_checkpoints": 1,
    "timeout": 1,
    "lock_timeout": 0,
}


def check_options(params: dict[str, t.Any]) -> None:
    """Raise ValueError for values that make no sense."""
    for name, least in LEAST.items():
        if params[name] < least:
            raise ValueError(f"{name} is {params[name]}; at least {least} is needed")
    teacher = params["teacher"]
    if teacher and not params["taxonomy"]:
        raise ValueError("there is a teacher and no taxonomy; a teacher writes rows like those of its skills")
    if teacher and (teacher["rows"] < 1 or not teacher["url"].startswith(("http://", "https://"))):
        raise ValueError(
            f"teacher.rows is {teacher['rows']} and teacher.url {teacher['url']!r}; needed are at least 1 "
            "and an address that begins with http:// or https://"
        )
    if params["device"] == "cuda" and not params["devices"]:
        raise ValueError("device is cuda and devices is empty; name the GPUs, such as nvidia.com/gpu=all")


def wanted(params: dict[str, t.Any], sha256: t.Callable[[str], str]) -> tuple[model.Base, dict[str, t.Any]]:
    """Return what is known of the base and the inputs of the training; ValueError with what is wrong."""
    base = model.read(params["base"])
    files = {name: os.path.join(params["base"], name) for name in base.files}
    if os.geteuid() == 0:
        closed = [path for path in files.values() if not os.stat(path).st_mode & 0o004]
        closed += [path for path in [params["data"]] if path and not os.stat(path).st_mode & 0o004]
        if closed:
            raise ValueError(
                f"{', '.join(closed)} cannot be read by the user inside the container; let all read it "
                "(chmod a+r)"
            )
    found = data.digest(params, sha256)
    if params["data"]:
        data.check_rows(params["data"])
    return base, record.wanted(params, {name: sha256(path) for name, path in files.items()}, found)
