"""Runs `ilab model train`, tells how far it is, and goes on from the last complete checkpoint after an
interruption.

The full pipeline of ilab (CPU) cannot resume: it writes the weights after each epoch, nothing of its
optimizer. So the rest of the epochs is trained from these weights. Its learning rate is constant, so only
Adafactor's running averages and the order of the rows begin anew. The accelerated pipeline (CUDA) resumes by
itself, from its full state.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import shutil
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import export
import view
from checkpoints import Log, last_complete, tidy
from common import Unfit, say
from inputs import Prepared

_STEP = re.compile(r"^Epoch: (\d+), Step: (\d+), .*Actual Loss Per Batch = ([0-9.e+-]+|nan|inf)")
_STEPS = re.compile(r"num_batches: (\d+)")
_SAVING = re.compile(r"Saving Model to: ")
#: The accelerated pipeline's metrics.
_METRIC = re.compile(r'"epoch": (\d+).*"step": (\d+).*"total_loss": ([0-9.e+-]+|nan|inf)', re.DOTALL)

#: Parameters below which more threads cost more than they bring.
SMALL = 20_000_000
#: Rows that are worth a process of their own while they are prepared.
ROWS = 2000
#: Seconds between two lines about steps.
PAUSE = 5.0


def threads(base: Path, wanted: int) -> int:
    """How many threads compute: what was asked for, else one for each core, but one for small models."""
    parameters = sum(math.prod(shape) for shape in export.shapes(base).values())
    return wanted or (1 if parameters < SMALL else len(os.sched_getaffinity(0)))


def environ(options: argparse.Namespace, rows: int) -> dict[str, str]:
    """What ilab runs with: nothing of the network, its caches where there is room."""
    work = options.work
    count = str(threads(options.base, options.threads))
    processes = max(1, min(len(os.sched_getaffinity(0)), rows // ROWS))
    own = {
        "TRAINER_PROCESSES": str(processes),
        "OMP_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        # On cores that others use, threads that spin while they wait take many times as long.
        "OMP_WAIT_POLICY": "passive",
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


def train(options: argparse.Namespace, prepared: Prepared, start: int, output: Path, log: Log) -> None:
    """Run ilab to its end; Unfit with its last lines when it fails."""
    tail: deque[str] = deque(maxlen=12)
    steps, losses, epoch, said = 0, [], start, 0.0
    argv = command(options, options.work / "model", options.epochs - start, output)
    process = subprocess.Popen(
        argv,
        env=environ(options, len(prepared.rows)),
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
            if time.monotonic() - said > PAUSE:
                # How many there are differs a little between epochs.
                of = f" of about {steps}" if steps else ""
                mean = sum(losses) / len(losses)
                say(f"epoch {epoch} of {options.epochs}, step {found[2]}{of}, mean loss {mean:.3f}")
                said = time.monotonic()
        if _SAVING.search(line) and losses:
            log.add(epoch, losses)
            say(f"epoch {epoch} of {options.epochs} is complete, mean loss {log.epochs[-1]['loss']:.3f}")
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
            view.make(resumed, model)
        else:
            view.make(options.base, model)
        train(options, prepared, start, output, log)
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
    view.make(options.base, work / "model")
    log = Log(work / "losses.jsonl", options.epochs)
    train(options, prepared, 0, output, log)
    results = sorted(output.glob("hf_format/samples_*"), key=lambda one: int(one.name.rpartition("_")[2]))
    if not results:
        raise Unfit("ilab ended without a result, and without saying why", status=1)
    return {"weights": results[-1], "epochs": log.epochs, "interruptions": 0}
