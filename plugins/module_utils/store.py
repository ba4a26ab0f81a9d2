# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Where the models of a host are kept, which one is served, and which one was before."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import typing as t

from .files import Checksums, copy_file, sha256_of, write_file
from .gguf import GgufError, describe, read_header

FORMAT = 1

#: What lies in the store, with its mode. Containers read models as another user; reports are the host's own.
DIRECTORIES = {
    "": 0o711,
    "models": 0o755,
    "sources": 0o755,
    "converted": 0o755,
    "trained": 0o755,
    "evaluations": 0o700,
}

#: Where the steps leave what they made.
STEPS = ("sources", "trained", "converted")

MODEL = "model.gguf"
MANIFEST = "model.gguf.manifest.json"
_ID = re.compile(r"^[0-9a-f]{12}$")

State = dict[str, t.Any]


def identity(sha256: str) -> str:
    """Return the name of a model's directory."""
    return sha256[:12].lower()


def empty_state() -> State:
    """Return the state of a host that serves nothing yet."""
    return {"format": FORMAT, "current": None, "previous": None, "held": []}


def served(state: State, entry: dict[str, t.Any], hold: bool) -> State:
    """Return the state after ``entry`` got up.

    :param hold: the one before is held back: it was left on purpose and must not come back by itself.
    """
    current, previous = state["current"], state["previous"]
    held = [sha256 for sha256 in state["held"] if sha256 != entry["sha256"]]
    if current is not None and current["sha256"] != entry["sha256"]:
        previous = current
        if hold:
            held.append(current["sha256"])
    elif previous is not None and previous["sha256"] == entry["sha256"]:
        previous = None
    return {"format": FORMAT, "current": entry, "previous": previous, "held": held}


def surplus(found: t.Sequence[tuple[str, float]], state: State, keep: int) -> list[str]:
    """Return which of the models (identity, time) are too many, the oldest first.

    The served one always stays; then the one before, then the youngest.
    """
    ranks = {
        identity(state[role]["sha256"]): rank
        for rank, role in ((2, "current"), (1, "previous"))
        if state[role]
    }
    ordered = sorted(found, key=lambda item: (ranks.get(item[0], 0), item[1]))
    excess = ordered[: max(0, len(ordered) - max(1, keep))]
    return [name for name, _time in excess]


class Store:
    """The directories below ``root``."""

    def __init__(self, root: str, full: bool = False) -> None:
        self.root = root
        self.state_file = os.path.join(root, "models", "served.json")
        self.cache_file = os.path.join(root, "models", ".checksums.json")
        self.note_file = os.path.join(root, "models", ".made-from.json")
        #: With ``full`` nothing is remembered of earlier runs.
        self.full = full
        self.checksums = Checksums(self.cache_file)

    def folder(self, sha256: str) -> str:
        """Return the directory of a model, there or not."""
        return os.path.join(self.root, "models", identity(sha256))

    def sha256(self, path: str) -> str:
        """Return a file's SHA-256."""
        if self.full:
            self.checksums.remember(path, sha256_of(path))
        return self.checksums.sha256(path)

    def missing(self) -> dict[str, int]:
        """Return directories that are not there, or have another mode, with the mode that they get."""
        found = {}
        for name, mode in DIRECTORIES.items():
            path = os.path.join(self.root, name) if name else self.root
            if not os.path.isdir(path) or os.stat(path).st_mode & 0o777 != mode:
                found[path] = mode
        return found

    def make(self, missing: t.Mapping[str, int]) -> None:
        """Make them."""
        for path, mode in missing.items():
            os.makedirs(path, exist_ok=True)
            os.chmod(path, mode)

    def state(self) -> State:
        """Return what is served; ValueError when its file was damaged."""
        try:
            with open(self.state_file, encoding="utf-8") as stream:
                found = json.load(stream)
        except FileNotFoundError:
            return empty_state()
        except ValueError as error:
            raise self._damaged(str(error)) from error
        if not isinstance(found, dict) or set(found) != set(empty_state()) or found["format"] != FORMAT:
            raise self._damaged("it has other fields")
        return found

    def _damaged(self, why: str) -> ValueError:
        return ValueError(
            f"{self.state_file} cannot be used: {why}; remove it (then nothing is known of the model "
            "before, and no rollback is possible until the next promotion)"
        )

    def write_state(self, state: State) -> None:
        """Replace the state, whole or not at all."""
        write_file(self.state_file, (json.dumps(state, indent=1, sort_keys=True) + "\n").encode(), 0o644)

    def place(self, src: str, sha256: str, manifest: str | None, link: bool) -> None:
        """Put a model into its directory, whole or not at all; its manifest first."""
        folder = self.folder(sha256)
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, DIRECTORIES["models"])
        dest = os.path.join(folder, MODEL)
        if manifest:
            copy_file(manifest, os.path.join(folder, MANIFEST), 0o644)
        if os.path.realpath(src) == os.path.realpath(dest):
            os.chmod(dest, 0o644)
        elif not (link and self._linked(src, dest)):
            copy_file(src, dest, 0o644, sha256)
        self.checksums.remember(dest, sha256)
        # A link changes the times of what it leads to.
        self.checksums.remember(src, sha256)

    @staticmethod
    def _linked(src: str, dest: str) -> bool:
        """Make ``dest`` another name of the same file; return whether that is possible here."""
        if not os.stat(src).st_mode & 0o004:
            return False
        # Always the same name, so that one that a killed run left is in nobody's way, and goes.
        temporary = os.path.join(os.path.dirname(dest), f".{MODEL}.link")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        try:
            os.link(src, temporary)
        except OSError as error:
            if error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
                return False
            raise
        os.replace(temporary, dest)
        # Where both were names of the same file already, replacing does nothing.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        return True

    def found(self) -> list[tuple[str, float]]:
        """Return the models that are complete, with their times."""
        folder = os.path.join(self.root, "models")
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        return [
            (name, os.stat(os.path.join(folder, name)).st_mtime)
            for name in names
            if _ID.match(name) and os.path.isfile(os.path.join(folder, name, MODEL))
        ]

    def reports(self, sha256: str) -> list[str]:
        """Return the files about a model in ``evaluations``."""
        folder = os.path.join(self.root, "evaluations")
        names = sorted(os.listdir(folder)) if sha256 and os.path.isdir(folder) else []
        return [os.path.join(folder, name) for name in names if name.startswith(identity(sha256))]

    def of(self, sha256: str) -> list[str]:
        """Return what the store holds of a model."""
        return [self.folder(sha256), *self.reports(sha256)] if sha256 else []

    def others(self, results: t.Sequence[str]) -> list[str]:
        """Return what lies in the steps' directories and is none of ``results``; hidden ones do not count."""
        wanted, found = {os.path.realpath(path) for path in results}, []
        for step in STEPS:
            folder = os.path.join(self.root, step)
            for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
                path = os.path.join(folder, name)
                if not name.startswith(".") and os.path.realpath(path) not in wanted:
                    found.append(path)
        return found

    @staticmethod
    def clear(paths: t.Sequence[str]) -> None:
        """Remove files and directories."""
        for path in paths:
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)

    def remove(self, name: str) -> None:
        """Remove a model with its reports; its file goes last, so that a cut removal is gone on with."""
        folder = os.path.join(self.root, "models", name)
        for report in self.reports(name):
            os.unlink(report)
        for entry in os.listdir(folder):
            if entry != MODEL:
                path = os.path.join(folder, entry)
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        shutil.rmtree(folder)

    def listing(self, state: State) -> list[dict[str, t.Any]]:
        """Return what is known of each model, the served one first, then the one before."""
        known = {identity(state[role]["sha256"]): role for role in ("previous", "current") if state[role]}
        held = {identity(sha256) for sha256 in state["held"]}
        listed = []
        for name, _time in self.found():
            role = known.get(name, "held" if name in held else "kept")
            listed.append({"id": name, "role": role, **(self._about(name) | (state.get(role) or {}))})
        order = ["current", "previous", "kept", "held"]
        return sorted(listed, key=lambda entry: (order.index(entry["role"]), entry["name"], entry["id"]))

    def _about(self, name: str) -> dict[str, t.Any]:
        path = os.path.join(self.root, "models", name, MODEL)
        size = os.path.getsize(path)
        about: dict[str, t.Any] = {"name": "", "size": size, "evaluation": None}
        with contextlib.suppress(GgufError, OSError):
            header = describe(read_header(path), size, "")
            about |= {key: header[key] for key in ("name", "architecture", "quantization")}
        about["provenance"] = self.provenance(os.path.join(os.path.dirname(path), MANIFEST))
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            with open(os.path.join(self.root, "evaluations", f"{name}.json"), encoding="utf-8") as stream:
                total = json.load(stream)["total"]
            about["evaluation"] = f"{total['right']} of {total['asked']} right"
        return about

    @staticmethod
    def provenance(manifest: str) -> t.Any:
        """Return where a model is from, None when nobody wrote it down."""
        try:
            with open(manifest, encoding="utf-8") as stream:
                return json.load(stream)["inputs"]["provenance"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
