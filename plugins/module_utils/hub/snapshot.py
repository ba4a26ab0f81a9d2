# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""What a snapshot is, and how it differs from what lies in a directory: no network, no writing."""

from __future__ import annotations

import json
import os
import stat
import typing as t

from .names import MANIFEST, first_problem, has_weights, is_safe_format

#: Containers run as another user, so everybody may read.
FILE_MODE, FOLDER_MODE = 0o644, 0o755
_FORMAT = 1


class File(t.NamedTuple):
    """A file as the Hub lists it; ``identity`` is ``sha256:<hex>``, or ``git:<hex>`` for a small one."""

    name: str
    size: int
    identity: str


class Selection(t.NamedTuple):
    """Which files of a repository are wanted."""

    allow_patterns: list[str] | None = None
    ignore_patterns: list[str] | None = None
    unsafe_formats: bool = False


class Snapshot(t.NamedTuple):
    """The files of one commit that are wanted; ``sha256`` holds what is known of their checksums."""

    repository: str
    revision: str
    commit: str
    selection: Selection
    files: tuple[File, ...]
    left_out: tuple[str, ...] = ()
    sha256: t.Mapping[str, str] = {}


class Found(t.NamedTuple):
    """What lies at the destination.

    ``problems`` says of each file of the record, and of each other one, why it is not as it should be.
    """

    snapshot: Snapshot | None
    good: t.Mapping[str, str]
    problems: t.Mapping[str, str]
    modes: t.Mapping[str, str]


NOTHING = Found(None, {}, {}, {})


class Difference(t.NamedTuple):
    """What has to happen: ``fetch`` these, ``keep`` those (identity -> path in the present snapshot)."""

    changed: bool
    fetch: tuple[File, ...]
    keep: t.Mapping[str, str]


def choose(
    files: t.Sequence[File], selection: Selection, matching: t.Callable[[t.Sequence[str]], t.Iterable[str]]
) -> tuple[tuple[File, ...], tuple[str, ...]]:
    """Return the wanted files and the names left out for their format; ValueError when that cannot work.

    :param matching: which names the patterns of the selection let through.
    """
    names = set(matching([file.name for file in files]))
    chosen = sorted(file for file in files if file.name in names)
    if not chosen:
        raise ValueError(
            f"none of the repository's {len(files)} files is selected by allow_patterns "
            f"{selection.allow_patterns} and ignore_patterns {selection.ignore_patterns}; correct them"
        )
    unsafe = tuple(file.name for file in chosen if not is_safe_format(file.name))
    if selection.unsafe_formats:
        unsafe = ()
    elif unsafe and not has_weights(file.name for file in chosen):
        raise ValueError(
            f"{len(unsafe)} selected files may run code when they are loaded ({', '.join(unsafe[:5])}), and "
            "no safetensors or GGUF file is among the rest; choose a repository or revision that has them, "
            "leave those files out with ignore_patterns, or take them on trust with unsafe_formats=true"
        )
    wanted = tuple(file for file in chosen if file.name not in unsafe)
    problem = first_problem([file.name for file in wanted])
    if problem:
        raise ValueError(
            f"the repository lists a file whose name cannot be trusted: {problem}; nothing was fetched. "
            "Choose another revision, or leave that file out with ignore_patterns"
        )
    return wanted, unsafe


def check_expected(snapshot: Snapshot, expected: t.Mapping[str, str]) -> None:
    """Raise ValueError when a checksum that is known by now is not the expected one."""
    names = {file.name for file in snapshot.files}
    for name, wanted in sorted(expected.items()):
        if name not in names:
            raise ValueError(
                f"expected names {name!r}, which is not among the snapshot's {len(names)} files; correct the "
                "name, or the patterns that leave it out"
            )
        actual = snapshot.sha256.get(name)
        if actual and actual != wanted.lower():
            raise ValueError(
                f"{name} of {snapshot.repository} at {snapshot.commit} has SHA-256 {actual}, expected is "
                f"{wanted.lower()}; correct expected, or choose the revision that it belongs to"
            )


def checksums_of(wanted: Snapshot, found: Found) -> dict[str, str]:
    """Return the SHA-256 of those wanted files of which the Hub or the present record tells it."""
    known = {file.identity: file.identity[7:] for file in wanted.files if file.identity.startswith("sha256:")}
    if found.snapshot:
        present = [file for file in found.snapshot.files if file.name in found.good]
        known = {**{file.identity: found.snapshot.sha256[file.name] for file in present}, **known}
    return {file.name: known[file.identity] for file in wanted.files if file.identity in known}


def to_json(snapshot: Snapshot, times: t.Mapping[str, int]) -> bytes:
    """Return the record of a snapshot; ``times`` are the files' modification times in nanoseconds."""
    record = {
        "format": _FORMAT,
        "repository": snapshot.repository,
        "revision": snapshot.revision,
        "commit": snapshot.commit,
        "selection": snapshot.selection._asdict(),
        "left_out": list(snapshot.left_out),
        "files": [
            {**file._asdict(), "sha256": snapshot.sha256[file.name], "mtime_ns": times[file.name]}
            for file in snapshot.files
        ],
    }
    return (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode()


class Record(t.NamedTuple):
    """What a directory is said to hold: the snapshot, and its files' modification times."""

    snapshot: Snapshot
    times: t.Mapping[str, int]


def read_record(folder: str) -> Record | None:
    """Return the record of a directory; None when there is none that can be used."""
    try:
        with open(os.path.join(folder, MANIFEST), encoding="utf-8") as stream:
            record = json.load(stream)
        if record["format"] != _FORMAT:
            return None
        files = [File(one["name"], int(one["size"]), one["identity"]) for one in record["files"]]
        snapshot = Snapshot(
            record["repository"],
            record["revision"],
            record["commit"],
            Selection(**record["selection"]),
            tuple(files),
            tuple(record["left_out"]),
            {one["name"]: one["sha256"] for one in record["files"]},
        )
        times = {one["name"]: int(one["mtime_ns"]) for one in record["files"]}
        # A record that somebody tampered with must not lead out of the directory either.
        return None if first_problem([file.name for file in files]) else Record(snapshot, times)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def observe(folder: str, full: bool, sha256: t.Callable[[str], str]) -> Found:
    """Return what lies in a directory that holds a snapshot, or may.

    :param full: read every file; otherwise only those whose size or time is not the recorded one.
    :param sha256: returns the checksum of a file.
    """
    record = read_record(folder)
    if record is None:
        return NOTHING
    snapshot, times = record.snapshot, record.times
    good: dict[str, str] = {}
    problems: dict[str, str] = {}
    modes: dict[str, str] = {}
    for file in snapshot.files:
        path = os.path.join(folder, file.name)
        try:
            found = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            problems[file.name] = "missing"
            continue
        if not stat.S_ISREG(found.st_mode) or os.path.realpath(path) != os.path.join(
            os.path.realpath(folder), file.name
        ):
            problems[file.name] = "not a file of its own"
        elif found.st_size != file.size:
            problems[file.name] = f"changed, {found.st_size} bytes"
        elif (full or found.st_mtime_ns != times[file.name]) and sha256(path) != snapshot.sha256[file.name]:
            problems[file.name] = "changed, of another checksum"
        else:
            good[file.name] = path
            if stat.S_IMODE(found.st_mode) != FILE_MODE:
                modes[file.name] = f"{stat.S_IMODE(found.st_mode):04o}"
    problems.update(_others(folder, snapshot, modes))
    return Found(snapshot, good, problems, modes)


def _others(folder: str, snapshot: Snapshot, modes: dict[str, str]) -> dict[str, str]:
    # Notes the modes of directories on the way.
    known = {file.name for file in snapshot.files} | {MANIFEST}
    above = {
        "/".join(parts[:end]) for parts in (name.split("/") for name in known) for end in range(len(parts))
    }
    found = {}
    for base, folders, names in os.walk(folder):
        local = os.path.relpath(base, folder).replace(os.sep, "/")
        local = "" if local == "." else local
        mode = stat.S_IMODE(os.stat(base).st_mode)
        if mode != FOLDER_MODE:
            modes[f"{local}/"] = f"{mode:04o}"
        for name in names:
            path = f"{local}/{name}".lstrip("/")
            if path not in known:
                found[path] = "not of the snapshot"
        for name in folders:
            path = f"{local}/{name}".lstrip("/")
            if path not in above and path not in known:
                found[f"{path}/"] = "not of the snapshot"
    return found


def known_snapshot(
    found: Found, repository: str, revision: str, selection: Selection, offline: bool
) -> Snapshot | None:
    """Return the wanted snapshot when the record at the destination tells all of it, without asking the Hub.

    A commit never changes; a branch may have moved, unless nobody may be asked (``offline``).
    """
    present = found.snapshot
    if present is None or (present.repository, present.selection) != (repository, selection):
        return None
    return present if revision == present.commit or (offline and revision == present.revision) else None


def different(found: Found, wanted: Snapshot) -> Difference:
    """Compare: what is there and usable stays, the rest has to be fetched."""
    usable: dict[str, str] = {}
    if found.snapshot:
        usable = {
            file.identity: found.good[file.name] for file in found.snapshot.files if file.name in found.good
        }
    identities = {file.identity: file for file in wanted.files}
    keep = {identity: usable[identity] for identity in identities if identity in usable}
    fetch = tuple(file for identity, file in identities.items() if identity not in keep)
    same = found.snapshot is not None and described(found.snapshot) == described(wanted)
    return Difference(not same or bool(found.problems) or bool(found.modes), fetch, keep)


def described(snapshot: Snapshot) -> dict[str, t.Any]:
    """Return what of a snapshot is compared and shown."""
    return {
        "repository": snapshot.repository,
        "revision": snapshot.revision,
        "commit": snapshot.commit,
        "selection": snapshot.selection._asdict(),
        "files": {file.name: f"{file.size} bytes, {file.identity}" for file in snapshot.files},
    }


def diff_of(found: Found, wanted: Snapshot | None) -> dict[str, t.Any]:
    """Return Ansible's diff."""
    before: dict[str, t.Any] = {}
    if found.snapshot:
        before = described(found.snapshot)
        before["files"] = {**before["files"], **found.problems}
        if found.modes:
            before["modes"] = dict(found.modes)
    return {"before": before, "after": described(wanted) if wanted else {}}
