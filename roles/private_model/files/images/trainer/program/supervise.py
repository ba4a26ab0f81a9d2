"""Runs `ilab model train`, tells how far it is, and goes on from the last complete checkpoint after an interruption.

The full pipeline of ilab (CPU) cannot resume: it writes the weights after each epoch, nothing of its optimizer. So the
rest of the epochs is trained from these weights. Its learning rate is constant, so only Adafactor's running averages and
the order of the rows begin anew. The accelerated pipeline (CUDA) resumes by itself, from its full state.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

import export
import view
from common import Unfit, say
from inputs import Prepared

_STEP = re.compile(r"^Epoch: (\d+), Step: (\d+), .*Actual Loss Per Batch = ([0-9.e+-]+|nan|inf)")
_STEPS = re.compile(r"num_batches: (\d+)")
_SAVING = re.compile(r"Saving Model to: ")
#: The accelerated pipeline's metrics.
_METRIC = re.compile(r'"epoch": (\d+).*"step": (\d+).*"total_loss": ([0-9.e+-]+|nan|inf)', re.DOTALL)


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


def environ(work: Path) -> dict[str, str]:
    """What ilab runs with: nothing of the network, its caches where there is room."""
    own = {
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HOME": str(work / "cache"),
        "NUMBA_CACHE_DIR": str(work / "cache/numba"),
        "TMPDIR": str(work / "cache"),
        "TOKENIZERS_PARALLELISM": "false",
        "GIT_PYTHON_REFRESH": "quiet",
        "WANDB_MODE": "disabled",
        "PYTHONUNBUFFERED": "1",
    }
    return {**os.environ, **own}


def command(options: argparse.Namespace, model: Path, epochs: int, output: Path) -> list[str]:
    """ilab's arguments."""
    work = options.work
    argv = [sys.executable, str(Path(__file__).with_name("ilab.py")), "--config=DEFAULT", "model", "train"]
    argv += ["--pipeline", "full" if options.device == "cpu" else "accelerated", "--device", options.device]
    argv += ["--model-path", str(model), "--data-path", str(work / "data.jsonl")]
    argv += ["--data-output-dir", str(work / "prepared"), "--ckpt-output-dir", str(output)]
    argv += ["--num-epochs", str(epochs), "--effective-batch-size", str(options.effective_batch_size)]
    argv += ["--max-batch-len", str(options.max_batch_len), "--max-seq-len", str(options.max_seq_len)]
    if options.device == "cuda":
        import torch

        argv += ["--gpus", str(torch.cuda.device_count()), "--disable-flash-attn"]
    return argv


def train(options: argparse.Namespace, model: Path, start: int, output: Path, log: Log) -> None:
    """Run ilab to its end; Unfit with its last lines when it fails."""
    tail: deque[str] = deque(maxlen=12)
    steps, losses, epoch = 0, [], start
    argv = command(options, model, options.epochs - start, output)
    process = subprocess.Popen(
        argv,
        env=environ(options.work),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    say(f"ilab prepares epoch {start + 1} of {options.epochs}")
    for raw in process.stdout or ():
        line = raw.rstrip()
        print(line, flush=True)
        if line.strip():
            tail.append(line.strip()[:300])
        if found := _STEPS.search(line):
            steps = int(found[1])
        if found := _STEP.match(line) or _METRIC.search(line):
            now = (start if options.device == "cpu" else 0) + int(found[1]) + 1
            if now != epoch:
                epoch, losses = now, []
                tidy(options.work, options.keep_checkpoints)
            losses.append(float(found[3]))
            of = f" of {steps}" if steps else ""
            say(f"epoch {epoch} of {options.epochs}, step {found[2]}{of}, loss {losses[-1]:.4f}")
        if _SAVING.search(line) and losses:
            log.add(epoch, losses)
    status = process.wait()
    if status:
        reason = f"failed with exit status {status}"
        if status in (-9, 137):
            reason = "was killed, most likely because the memory ran out"
        raise Unfit(f"ilab model train {reason} in epoch {epoch}: {' | '.join(list(tail)[-6:])}", status=1)


def run(options: argparse.Namespace, prepared: Prepared) -> dict[str, Any]:
    """Train what is still to be trained and write the result; return what the provenance tells of it."""
    work = options.work
    for name in ("cache/numba", "prepared"):
        (work / name).mkdir(parents=True, exist_ok=True)
    prepared.write(work / "data.jsonl")
    trained = full(options, prepared) if options.device == "cpu" else accelerated(options, prepared)
    say("writing the trained model")
    written = export.write(trained["weights"], options.base, options.result, options.dtype)
    return {"epochs": trained["epochs"], "interruptions": trained["interruptions"], **written}


def full(options: argparse.Namespace, prepared: Prepared) -> dict[str, Any]:
    """The CPU's pipeline."""
    work = options.work
    last = last_complete(work)
    start = last.epochs if last else 0
    log = Log(work / "losses.jsonl", start)
    if start < options.epochs:
        output = work / "checkpoints" / f"from-{start:05d}"
        shutil.rmtree(output, ignore_errors=True)
        model = work / "model"
        shutil.rmtree(model, ignore_errors=True)
        if last:
            say(f"going on after epoch {start} of {options.epochs}")
            resumed = work / "resumed"
            shutil.rmtree(resumed, ignore_errors=True)
            resumed.mkdir()
            export.write(last.folder, options.base, resumed, "float32")
            view.make(resumed, model, prepared.rows)
        else:
            view.make(options.base, model, prepared.rows)
        train(options, model, start, output, log)
        last = last_complete(work)
    if last is None or last.epochs < options.epochs:
        reached = last.epochs if last else 0
        raise Unfit(f"ilab ended after epoch {reached} of {options.epochs}, without saying why", status=1)
    starts = {folder.name for folder in (work / "checkpoints").glob("from-*")} - {"from-00000"}
    return {"weights": last.folder, "epochs": log.epochs, "interruptions": len(starts)}


def accelerated(options: argparse.Namespace, prepared: Prepared) -> dict[str, Any]:
    """The pipeline for CUDA; it resumes from the full state that it finds."""
    work = options.work
    output = work / "checkpoints" / "accelerated"
    for state in output.glob("full_state/*_*"):
        # The newest is taken unseen; this is what is written last.
        if not (state / "training_metadata.json").is_file():
            shutil.rmtree(state)
    shutil.rmtree(work / "model", ignore_errors=True)
    view.make(options.base, work / "model", prepared.rows)
    log = Log(work / "losses.jsonl", options.epochs)
    train(options, work / "model", 0, output, log)
    results = sorted(output.glob("hf_format/samples_*"), key=lambda one: int(one.name.rpartition("_")[2]))
    if not results:
        raise Unfit("ilab ended without a result, and without saying why", status=1)
    return {"weights": results[-1], "epochs": log.epochs, "interruptions": 0}
