# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!
"""The one place that trains: looks for room, runs the container, puts the result in its place."""

from __future__ import annotations

import os
import shutil
import typing as t

from ..directories import Places, clear, put_in_place
from ..files import sha256_of, write_file
from ..podman.client import PodmanClient, PodmanError
from ..podman.tool import hand_over, run_tool
from ..podman.watch import Finished, Progress
from . import model, record

#: Status with which the program says that data or settings are not fit.
UNFIT = 2

#: Says in a directory of checkpoints for which inputs they are.
MARKER = "inputs.sha256"

#: In the directory of checkpoints: what a teacher wrote, and its key while it is asked.
GENERATED, TEACHER_KEY = "generated.jsonl", ".teacher-key"

#: Options that the program in the image takes by the same name.
OPTIONS = (
    "epochs",
    "effective_batch_size",
    "max_batch_len",
    "max_seq_len",
    "device",
    "dtype",
    "threads",
    "keep_checkpoints",
)


def container_name(dest: str) -> str:
    """Return the name of the container that trains for a destination."""
    return f"private-ai-train-{record.digest({'dest': os.path.realpath(dest)})[:12]}"


def tool_params(
    params: t.Mapping[str, t.Any], command: str, work: str = "", result: str = ""
) -> dict[str, t.Any]:
    """Return what run_tool needs for one command of the program."""
    kind = "data" if params["data"] else "taxonomy"
    target = "/data.jsonl" if params["data"] else "/taxonomy"
    mounts = [
        {"source": os.path.realpath(params["base"]), "target": "/base", "read_only": True},
        {"source": os.path.realpath(params[kind]), "target": target, "read_only": True},
    ]
    argv = [command, "--base=/base", f"--{kind}={target}"]
    if command == "run":
        mounts += [{"source": work, "target": "/work"}, {"source": result, "target": "/result"}]
        argv += ["--work=/work", "--result=/result"]
    argv += [f"--{name.replace('_', '-')}={params[name]}" for name in OPTIONS]
    return {
        "name": container_name(params["dest"]) + ("" if command == "run" else f"-check-{os.getpid()}"),
        "image": params["image"],
        "argv": argv,
        "mounts": mounts,
        "ulimits": params["ulimits"],
        "devices": params["devices"],
        "memory": params["memory"],
    }


def teacher_params(params: t.Mapping[str, t.Any], work: str) -> dict[str, t.Any]:
    """Return what run_tool needs to let the teacher write rows; its key comes by a file."""
    teacher = params["teacher"]
    tool = tool_params(params, "ask")
    tool["mounts"] = [
        *tool["mounts"],
        {"source": work, "target": "/work"},
        {"source": os.path.join(work, TEACHER_KEY), "target": "/run/teacher-key", "read_only": True},
    ]
    tool["argv"] += ["--work=/work", "--teacher-key=/run/teacher-key"]
    tool["argv"] += [f"--teacher-{name}={teacher[name]}" for name in ("url", "model", "family", "rows")]
    return {**tool, "name": container_name(params["dest"]), "network": teacher["network"], "devices": []}


def ask_teacher(
    client: PodmanClient, params: t.Mapping[str, t.Any], work: str, progress: Progress, rootless: bool
) -> None:
    """Let the teacher write rows into the directory of checkpoints, unless it did so for the same inputs."""
    if not params["teacher"] or os.path.isfile(os.path.join(work, GENERATED)):
        return
    key = os.path.join(work, TEACHER_KEY)
    write_file(key, (params["teacher"]["api_key"] or "").encode(), 0o600)
    try:
        hand_over(key, rootless)
        done, result = run_tool(
            client, teacher_params(params, work), progress, params["log_file"], params["timeout"]
        )
        answer(done, result, "asking the teacher", params["log_file"], params["timeout"])
    finally:
        os.unlink(key)


def full_disk(folders: t.Iterable[str], least: int) -> str:
    """Return which file system has less than ``least`` bytes free, in words; empty when all have more.

    What a program says of a disk that filled under it is often about something else.
    """
    for folder in folders:
        found = os.statvfs(folder)
        free = found.f_bavail * found.f_frsize
        if free < least:
            return (
                f"found no room: {folder} has {free} bytes free; make room there, or name another "
                "checkpoint_dir, and run it again to go on from its last checkpoint"
            )
    return ""


def answer(
    done: Finished,
    result: dict[str, t.Any] | None,
    doing: str,
    log_file: str | None,
    timeout: int,
    full: str = "",
) -> dict[str, t.Any]:
    """Return the program's result; ValueError for unfit data, PodmanError for all other failures.

    :param full: see :func:`full_disk`.
    """
    if done.rc == 0 and result and result.get("ok"):
        return result
    problems = "; ".join((result or {}).get("problems") or [])
    if done.rc == UNFIT and problems:
        raise ValueError(problems)
    where = f"; the whole output is in {log_file}" if log_file else ""
    if done.rc == 124:
        reason = (
            f"did not end within {timeout} s (option timeout); run it again to go on from its last checkpoint"
        )
    elif full:
        reason = full
    elif done.rc in (137, -9) and not problems:
        reason = (
            "was killed, perhaps because the memory ran out; run it again to go on from its last checkpoint"
        )
    else:
        reason = problems or f"failed with exit status {done.rc}: {' | '.join(done.tail[-5:])}"
    raise PodmanError(f"{doing} {reason}{where}", [], done.rc, "\n".join(done.tail))


def check_room(params: t.Mapping[str, t.Any], need: model.Need, places: Places, work: str) -> None:
    """Raise ValueError when memory or disk cannot hold the training."""
    try:
        with open("/proc/meminfo", encoding="ascii") as stream:
            memory = model.available_memory(stream.read())
    except OSError:
        memory = 0
    if memory and memory < need.memory:
        raise ValueError(
            f"training needs at least {need.memory} bytes of memory, {memory} are available; "
            "take a smaller base or a smaller max_batch_len, or free memory"
        )
    wanted: dict[int, tuple[str, int]] = {}
    for folder, size in ((os.path.dirname(work) or "/", need.work), (places.parent, need.result)):
        device = os.stat(folder).st_dev
        wanted[device] = (folder, wanted.get(device, ("", 0))[1] + size)
    used = _size_of(work)
    for device, (folder, size) in wanted.items():
        found = os.statvfs(folder)
        free = found.f_bavail * found.f_frsize
        # Checkpoints of an interrupted run are there already.
        free += used if os.stat(os.path.dirname(work) or "/").st_dev == device else 0
        if free < size:
            raise ValueError(
                f"{folder} has {free} bytes free, training needs at least {size} (checkpoints and result; "
                "what is there stays until then); make room, or name another checkpoint_dir"
            )


def _size_of(folder: str) -> int:
    total = 0
    for root, _folders, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(root, name)).st_size
            except OSError:
                continue
    return total


def prepare_work(work: str, inputs: t.Mapping[str, t.Any], rootless: bool) -> None:
    """Make the directory of checkpoints; what is left in it counts only for the very same inputs."""
    marker, digest = os.path.join(work, MARKER), record.digest(inputs)
    if os.path.isdir(work) and not _is_for(work, inputs):
        if os.listdir(work) and not os.path.isfile(marker):
            raise ValueError(
                f"checkpoint_dir {work!r} holds files that are not of a training; name a directory of its own"
            )
        _clear_work(work)
    os.makedirs(work, mode=0o755, exist_ok=True)
    if not os.path.isfile(marker):
        write_file(marker, f"{digest}\n".encode(), 0o644)
    hand_over(work, rootless)


def _is_for(work: str, inputs: t.Mapping[str, t.Any]) -> bool:
    """Return whether a directory of checkpoints is for these inputs."""
    try:
        with open(os.path.join(work, MARKER), encoding="ascii", errors="replace") as stream:
            return stream.read().strip() == record.digest(inputs)
    except OSError:
        return False


def left_over(places: Places, work: str, inputs: t.Mapping[str, t.Any]) -> list[str]:
    """Return what runs left beside a model that is trained; checkpoints for other inputs do not count."""
    found = [path for path in (places.old, places.staging, places.lock) if os.path.lexists(path)]
    return [*found, work] if _is_for(work, inputs) else found


def tidy(places: Places, work: str, inputs: t.Mapping[str, t.Any]) -> None:
    """Remove it; the lock goes when it is given back."""
    clear(places)
    if _is_for(work, inputs):
        _clear_work(work)


def _clear_work(work: str) -> None:
    # What says whose it is goes last: a removal that is cut can be gone on with.
    for name in os.listdir(work):
        path = os.path.join(work, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif name != MARKER:
            os.unlink(path)
    shutil.rmtree(work)


def remove_work(work: str) -> None:
    """Remove checkpoints, if this is a directory of them."""
    if os.path.isfile(os.path.join(work, MARKER)) or (os.path.isdir(work) and not os.listdir(work)):
        _clear_work(work)


def train(
    client: PodmanClient,
    params: t.Mapping[str, t.Any],
    inputs: t.Mapping[str, t.Any],
    places: Places,
    work: str,
    progress: Progress,
) -> dict[str, t.Any]:
    """Train and put the result in its place; return its record. What was there before stays until then."""
    rootless = os.geteuid() != 0
    clear(places)
    prepare_work(work, inputs, rootless)
    ask_teacher(client, params, work, progress, rootless)
    os.makedirs(places.staging, mode=0o700)
    os.mkdir(places.tree, 0o755)
    hand_over(places.tree, rootless)
    progress.say("starting")
    tool = tool_params(params, "run", work, places.tree)
    try:
        done, result = run_tool(client, tool, progress, params["log_file"], params["timeout"])
        # A checkpoint takes more than the base: ilab writes it in 32 bits.
        full = full_disk((work, places.parent), _size_of(params["base"])) if done.rc else ""
        outcome = answer(done, result, "training", params["log_file"], params["timeout"], full)
        content = finish(places.tree, params, inputs, outcome)
    except BaseException:
        clear(places)
        raise
    put_in_place(places)
    _clear_work(work)
    progress.say("done")
    return content


def finish(
    tree: str, params: t.Mapping[str, t.Any], inputs: t.Mapping[str, t.Any], outcome: t.Mapping[str, t.Any]
) -> dict[str, t.Any]:
    """Take over the files of the container, look whether they are a model, and write the record."""
    owner = os.geteuid()
    files = {}
    for name in sorted(os.listdir(tree)):
        path = os.path.join(tree, name)
        os.chown(path, owner, os.getegid())
        os.chmod(path, 0o644)
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        files[name] = {"size": os.path.getsize(path), "sha256": sha256_of(path)}
    model.read(tree)
    content = record.record(params["name"], inputs, record.source(params["base"]), outcome, files)
    write_file(os.path.join(tree, record.RECORD), record.to_json(content), 0o644)
    os.chown(tree, owner, os.getegid())
    return content
