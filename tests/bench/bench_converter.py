"""Measure gguf_model against llama.cpp's own tools alone, in the same image and on the same model.

    PYTHONPATH=collections .venv/bin/python -m tests.bench.bench_converter [MODEL_DIRECTORY] [ROUNDS]

Defaults: random weights, 3 rounds.
The tools are convert_hf_to_gguf.py and llama_model_quantize, one container each; the module adds checks,
checksums and a manifest, and uses one container. The ways take turns, so that a busy machine slows both;
processor time (of everything that is started, containers too) says more there than time by the clock.
The image has to be there (tests/integration/targets/setup_converter_image). PODMAN_RUN_ARGS as for the tests.
Nothing is asserted.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.converter.conftest import DEMO, Run, podman_words
from tests.standins import random_hf_model

IMAGE = "localhost/private-ai/converter:0.3.36"
HIDDEN, LAYERS = 1024, 24
QUANTISE = (
    "import ctypes, llama_cpp as l; p = l.llama_model_quantize_default_params(); p.ftype = 15; "
    "raise SystemExit(l.llama_model_quantize(b'/work/f16.gguf', b'/work/model.gguf', ctypes.byref(p)))"
)


def random_model(folder: Path) -> Path:
    """About 0.2 thousand million random weights with the demo model's tokenizer."""
    sizes = {"hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "intermediate_size": 2 * HIDDEN}
    config = {**json.loads((DEMO / "config.json").read_text()), **sizes, "tie_word_embeddings": False}
    config.pop("layer_types", None)
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.model", "tokenizer_config.json"):
        shutil.copy(DEMO / name, folder)
    weights = random_hf_model.tensors([], config["vocab_size"], HIDDEN, LAYERS)
    random_hf_model.write_safetensors(folder / "model.safetensors", weights)
    return folder


def tool(source: Path, work: Path, *arguments: str) -> None:
    """One of llama.cpp's tools in a container."""
    before, after = podman_words()
    command = ["podman", *before, "run", "--rm", "--network=none", *after, f"--volume={source}:/source:ro"]
    command += [f"--volume={work}:/work:rw", "--entrypoint=/opt/converter/bin/python", IMAGE, *arguments]
    subprocess.run(command, check=True, capture_output=True)


def tools_alone(source: Path, work: Path) -> None:
    """Convert and quantise with nothing around it."""
    work.chmod(0o777)
    converter = "/opt/llama.cpp/convert_hf_to_gguf.py"
    tool(source, work, converter, "/source", "--outfile=/work/f16.gguf", "--outtype=f16")
    tool(source, work, "-c", QUANTISE)
    (work / "f16.gguf").unlink()


def module(source: Path, work: Path) -> None:
    """The same with everything around it."""
    dest = work / "out" / "model.gguf"
    dest.parent.mkdir()
    made = Run(work, {"source": str(source), "dest": str(dest), "quantization": "Q4_K_M"}).result()
    if not made.get("changed"):
        raise RuntimeError(made)


def adopt() -> None:
    """Become the parent of what outlives its own: podman's helpers and their containers are counted then."""
    pr_set_child_subreaper = 36
    if ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0):
        raise OSError("this system does not let a process adopt others")


def measured(way: Callable[[], None]) -> tuple[float, float]:
    """Return how long it takes by the clock, and of the processors, in seconds."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    way()
    clock = time.monotonic() - start
    with contextlib.suppress(ChildProcessError):
        while os.wait():
            pass
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Command line."""
    adopt()
    given = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    ways: dict[str, Callable[[Path, Path], None]] = {"tools alone": tools_alone, "gguf_model": module}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "model"
        made.mkdir(0o755)
        source = given or random_model(made)
        for number in range(rounds):
            for name, way in ways.items():
                work = Path(folder) / f"{name}-{number}".replace(" ", "-")
                work.mkdir()
                taken[name].append(measured(partial(way, source, work)))
                shutil.rmtree(work)
    for index, what in enumerate(("by the clock", "of processors")):
        seconds = {name: [pair[index] for pair in pairs] for name, pairs in taken.items()}
        alone = statistics.median(seconds["tools alone"])
        for name, values in seconds.items():
            median, best = statistics.median(values), min(values)
            print(
                f"{what} {name:12} median {median:7.1f} s  best {best:7.1f} s  {median / alone:5.2f} x alone"
            )


if __name__ == "__main__":
    main()
