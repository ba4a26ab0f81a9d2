"""The rows to train, in ilab's form, checked with ilab's own code before any long work."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import taxonomy
import view
from common import Unfit, say

#: ilab leaves out shorter rows without a word.
SHORTEST = 20
#: Problems that are told; the rest is counted.
TOLD = 20
EMPTY_THINKING = "<think>\n\n</think>\n\n"


@dataclass
class Prepared:
    """The rows with where each came from, and what was found out about them."""

    rows: list[dict[str, Any]]
    origins: list[str]
    template: str = view.AS_IT_IS
    given_thinking: int = 0
    lengths: list[int] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """What the provenance tells of the data."""
        return {
            "rows": len(self.rows),
            "tokens": sum(self.lengths),
            "longest": max(self.lengths),
            "template": self.template,
            "given_thinking": self.given_thinking,
        }

    def write(self, path: Path) -> None:
        """The file that ilab reads; metadata are left out, their forms differ from row to row."""
        lines = [json.dumps({"messages": row["messages"]}, ensure_ascii=False) for row in self.rows]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read(options: argparse.Namespace) -> Prepared:
    """The rows of the data file (its form was checked on the host) or of the taxonomy."""
    if not options.taxonomy:
        found = lines(options.data, "line")
    else:
        found = taxonomy.read(options.taxonomy)
        written = options.work / "generated.jsonl" if options.work else None
        if written and written.is_file():
            found += lines(written, "the teacher's row")
    return Prepared([row for _, row in found], [origin for origin, _ in found])


def lines(path: Path, what: str) -> list[tuple[str, dict[str, Any]]]:
    """(where it stands, row) of a file of JSON lines."""
    with path.open(encoding="utf-8") as stream:
        return [
            (f"{what} {number}", json.loads(line)) for number, line in enumerate(stream, 1) if line.strip()
        ]


def prepare(options: argparse.Namespace) -> Prepared:
    """Read and check everything; Unfit with each problem."""
    say("checking the training data")
    prepared = read(options)
    if not prepared.rows:
        raise Unfit("the training data hold no row; add conversations")
    with tempfile.TemporaryDirectory() as folder:
        prepared.template = view.make(options.base, Path(folder) / "base")
        tokenizer = load_tokenizer(Path(folder) / "base")
    if view.opens_thinking(tokenizer):
        for row in prepared.rows:
            last = row["messages"][-1]
            if last["role"] == "assistant" and "</think>" not in last["content"]:
                last["content"] = EMPTY_THINKING + last["content"]
                prepared.given_thinking += 1
    problems = measure(prepared, tokenizer, options.max_seq_len)
    if problems:
        more = [f"and {len(problems) - TOLD} more"] if len(problems) > TOLD else []
        raise Unfit(*problems[:TOLD], *more)
    if options.device == "cpu":
        check_packing(prepared, options.effective_batch_size, options.max_batch_len)
    else:
        check_cuda()
    return prepared


def load_tokenizer(base: Path) -> Any:
    """The base's tokenizer as ilab sets it up for the preparation."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    with contextlib.redirect_stdout(io.StringIO()):
        from instructlab.training.data_process import configure_tokenizer
    try:
        return configure_tokenizer(str(base))
    except Exception as error:  # whatever a foreign tokenizer's files lead to
        raise Unfit(
            f"the tokenizer of the base cannot be used: {type(error).__name__}: {error}; "
            "it needs its tokenizer files and a chat template"
        ) from error


def measure(prepared: Prepared, tokenizer: Any, max_seq_len: int) -> list[str]:
    """Put every row through ilab's own masking; return what is wrong with which row."""
    from instructlab.training.data_process import unmask_sample

    problems = []
    for row, origin in zip(prepared.rows, prepared.origins, strict=True):
        try:
            found = unmask_sample({"messages": row["messages"], "unmask": False}, tokenizer)
        except Exception as error:  # chat templates raise whatever they like
            problems.append(
                f"{origin}: the base's chat template does not carry this conversation: {error}; "
                "thinking (<think>...</think>) may stand in the last answer only"
            )
            continue
        length = found["len"]
        prepared.lengths.append(length)
        if length >= max_seq_len:
            problems.append(
                f"{origin}: {length} tokens, at most {max_seq_len - 1} are possible; "
                "shorten it or raise max_seq_len"
            )
        elif length < SHORTEST:
            problems.append(
                f"{origin}: {length} tokens, at least {SHORTEST} are needed, ilab leaves shorter ones out; "
                "write more in it"
            )
        elif all(label == -100 for label in found["labels"]):
            problems.append(f"{origin}: there is nothing to learn in it; its last message must be an answer")
    return problems


def check_packing(prepared: Prepared, effective_batch_size: int, max_batch_len: int) -> None:
    """Unfit when ilab could not pack the rows into batches; it would find out after the preparation only."""
    mean, longest = sum(prepared.lengths) / len(prepared.lengths), max(prepared.lengths)
    row = prepared.origins[prepared.lengths.index(longest)]
    if longest > max_batch_len:
        raise Unfit(
            f"max_batch_len is {max_batch_len}, the longest row ({row}) has {longest} tokens; raise "
            "max_batch_len"
        )
    parts = 1
    while int(mean * effective_batch_size / parts) >= longest:
        if int(mean * effective_batch_size / parts) <= max_batch_len:
            return
        parts += 1
    needed = 1
    while int(mean * needed) < longest:
        needed += 1
    raise Unfit(
        f"effective_batch_size is {effective_batch_size} and max_batch_len {max_batch_len}; rows of "
        f"{mean:.0f} tokens on average and {longest} at most ({row}) do not fit: take an "
        f"effective_batch_size of {needed} or more and a max_batch_len of {2 * longest} or more, "
        "or make the rows more alike in length"
    )


def check_cuda() -> None:
    """Unfit when there is no GPU to train on."""
    import torch

    if not torch.cuda.is_available():
        built = torch.version.cuda or "none"
        raise Unfit(
            f"device is cuda, but no GPU can be used here (CUDA of this image's torch: {built}); give an "
            "image with CUDA's torch and the devices of the host (such as nvidia.com/gpu=all), or device: cpu"
        )
