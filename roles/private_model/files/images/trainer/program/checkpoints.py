"""Checkpoints of ilab's full pipeline, and the losses of their epochs, over interruptions."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any, NamedTuple


class Checkpoint(NamedTuple):
    """Weights after so many epochs, counted over all runs."""

    epochs: int
    folder: Path


def complete(folder: Path) -> bool:
    """Whether ilab finished writing a checkpoint, and nothing of it was lost since."""
    weights = folder / "pytorch_model.bin"
    # ilab writes the configuration after the weights.
    if not (folder / "config.json").is_file() or not weights.is_file():
        return False
    try:
        with zipfile.ZipFile(weights) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


def checkpoints(work: Path) -> list[Checkpoint]:
    """Checkpoints of the full pipeline, the furthest last. ilab names them by 8 times the epoch."""
    found = []
    for folder in work.glob("checkpoints/from-*/hf_format/samples_*"):
        start = int(folder.parents[1].name.removeprefix("from-"))
        found.append(Checkpoint(start + int(folder.name.removeprefix("samples_")) // 8 + 1, folder))
    return sorted(found)


def last_complete(work: Path) -> Checkpoint | None:
    """The checkpoint to go on from; half-written ones are removed."""
    for found in reversed(checkpoints(work)):
        if complete(found.folder):
            return found
        shutil.rmtree(found.folder)
    return None


def tidy(work: Path, keep: int) -> None:
    """Remove all but the newest checkpoints; to be called while none is being written."""
    for old in checkpoints(work)[:-keep]:
        shutil.rmtree(old.folder, ignore_errors=True)


class Log:
    """The mean loss of each epoch, kept over interruptions."""

    def __init__(self, path: Path, done: int) -> None:
        self.path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self.epochs = [entry for entry in map(_entry, lines) if entry and entry["epoch"] <= done]
        self._write()

    def _write(self) -> None:
        lines = "".join(json.dumps(entry) + "\n" for entry in self.epochs)
        self.path.write_text(lines, encoding="utf-8")

    def add(self, epoch: int, losses: list[float]) -> None:
        """Remember an epoch that is over."""
        self.epochs.append({"epoch": epoch, "loss": round(sum(losses) / len(losses), 4)})
        self._write()


def _entry(line: str) -> dict[str, Any] | None:
    try:
        return dict(json.loads(line))
    except ValueError:
        return None
