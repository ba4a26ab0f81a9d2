"""Trains a model with InstructLab, alone in its container: checks the data, trains or goes on, writes the
result.

    python program check --base DIR (--data FILE | --taxonomy DIR) [--max-seq-len N ...]
    python program ask   --base DIR --taxonomy DIR --work DIR --teacher-url URL --teacher-model NAME [...]
    python program run   --base DIR (--data FILE | --taxonomy DIR) --work DIR --result DIR [...]

`check` writes nothing; `ask` lets a teacher write more rows, which `run` then trains, too. All end with one
line `result: {JSON}`; what a person may want to see meanwhile stands on lines that begin with `progress:`.
Exit status 2: the data or the settings are not fit, `problems` says why; 1: the training failed.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import inputs
from common import Unfit, versions


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("command", choices=("check", "ask", "run"))
    parser.add_argument("--base", type=Path, required=True, help="model in Hugging Face form")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="JSON lines of messages")
    source.add_argument("--taxonomy", type=Path, help="directory with qna.yaml files")
    parser.add_argument("--work", type=Path, help="directory for prepared data and checkpoints")
    parser.add_argument("--result", type=Path, help="empty directory for the trained model")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--effective-batch-size", type=int, default=8)
    parser.add_argument("--max-batch-len", type=int, default=2048)
    parser.add_argument("--max-seq-len", type=int, default=512)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=("base", "float32"), default="base")
    parser.add_argument("--threads", type=int, default=0, help="0: one for each core, one for small models")
    parser.add_argument("--keep-checkpoints", type=int, default=1)
    parser.add_argument("--teacher-url", help="OpenAI API of the teacher, with /v1")
    parser.add_argument("--teacher-model")
    parser.add_argument("--teacher-family", default="merlinite", help="how its prompts are written")
    parser.add_argument("--teacher-rows", type=int, default=10, help="rows for each example")
    parser.add_argument("--teacher-key", type=Path, help="file with its key")
    options = parser.parse_args()
    if options.command == "run" and not (options.work and options.result):
        parser.error("run needs --work and --result")
    if options.command == "ask" and not (options.work and options.taxonomy and options.teacher_url):
        parser.error("ask needs --work, --taxonomy and --teacher-url")
    return options


def main() -> int:
    """Entry point; returns the exit status."""
    options = arguments()
    try:
        if options.command == "ask":
            import teacher

            print("result: " + json.dumps({"ok": True, **teacher.run(options)}), flush=True)
            return 0
        prepared = inputs.prepare(options)
        result = {"ok": True, "data": prepared.summary(), "versions": versions()}
        if options.command == "run":
            # torch and ilab are needed from here on only.
            import supervise

            result |= supervise.run(options, prepared)
    except Unfit as error:
        print("result: " + json.dumps({"ok": False, "problems": error.problems}), flush=True)
        return error.status
    print("result: " + json.dumps(result), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
