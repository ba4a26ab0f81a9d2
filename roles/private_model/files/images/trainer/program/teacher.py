"""More conversations from a teacher: `ilab data generate` asks a larger model for questions and answers like
those of the skills in the taxonomy.

Only skills: ilab takes the documents of knowledge from a Git server and reads them with models of its own,
which this image does not have. The questions and answers of knowledge are trained as they stand.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import taxonomy
from common import Unfit, say

#: What the teacher wrote, for all runs that are made from the same inputs.
RESULT = "generated.jsonl"
#: Where ilab looks for the model that will be trained: its kind decides how the rows are written.
STUDENT = ".cache/instructlab/models/instructlab/granite-7b-lab"
_PROGRESS = re.compile(r"Prompt Generation: +(\d+)(%|it)")


def skills(source: Path, folder: Path) -> int:
    """Fill `folder` with the skills of a taxonomy, and return how many there are."""
    count = 0
    for file in taxonomy.files(source):
        name = file.relative_to(source)
        if name.parts[0] != "knowledge":
            target = folder / name
            target.parent.mkdir(parents=True)
            shutil.copyfile(file, target)
            count += 1
    return count


def command(options: argparse.Namespace, folder: Path, output: Path) -> list[str]:
    """ilab's arguments; the key is none of them, others could see it."""
    argv = [sys.executable, str(Path(__file__).with_name("ilab.py")), "--config=DEFAULT", "data", "generate"]
    argv += ["--endpoint-url", options.teacher_url, "--model", options.teacher_model]
    argv += ["--model-family", options.teacher_family, "--pipeline", "simple", "--batch-size", "0"]
    argv += ["--sdg-scale-factor", str(options.teacher_rows), "--num-cpus", "1"]
    argv += ["--taxonomy-path", str(folder), "--taxonomy-base", "empty", "--output-dir", str(output)]
    return argv


def rows(output: Path) -> list[dict[str, Any]]:
    """What ilab wrote: conversations whose answers have text, none of them twice."""
    found: dict[str, dict[str, Any]] = {}
    for file in sorted(output.rglob("messages_*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            messages = json.loads(line)["messages"]
            if all(message["content"].strip() for message in messages):
                kept = [{"role": one["role"], "content": one["content"].strip()} for one in messages]
                found[json.dumps(kept)] = {"messages": kept}
    return list(found.values())


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Ask the teacher, unless an earlier run did; return how many conversations there are."""
    work = options.work
    result = work / RESULT
    if not result.is_file():
        # Nobody is asked while something is wrong with what is known already.
        taxonomy.read(options.taxonomy)
        folder, output, home = (work / f"teacher/{name}" for name in ("taxonomy", "output", "home"))
        shutil.rmtree(work / "teacher", ignore_errors=True)
        (home / STUDENT).parent.mkdir(parents=True)
        (home / STUDENT).symlink_to(options.base)
        (work / "cache/numba").mkdir(parents=True, exist_ok=True)
        if not skills(options.taxonomy, folder):
            raise Unfit(
                "there is a teacher and the taxonomy holds no skill (compositional_skills/.../qna.yaml); a "
                "teacher writes more of skills only: add one, or train without a teacher"
            )
        ask(options, command(options, folder, output), home)
        found = rows(output)
        if not found:
            raise Unfit(
                f"the teacher {options.teacher_model} wrote nothing that ilab could read as question and "
                "answer; take a larger model, or another family (teacher)",
                status=1,
            )
        temporary = result.with_suffix(".part")
        temporary.write_text(
            "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found), encoding="utf-8"
        )
        temporary.replace(result)
        shutil.rmtree(work / "teacher")
    return {"generated": len(result.read_text(encoding="utf-8").splitlines())}


def ask(options: argparse.Namespace, argv: list[str], home: Path) -> None:
    """Run ilab to its end; Unfit with its last lines when it fails."""
    # What trains needs torch, the rest of this file does not.
    from supervise import PAUSE, environ

    say(f"asking the teacher {options.teacher_model}")
    tail: deque[str] = deque(maxlen=12)
    said = 0.0
    own = {"HOME": str(home), "PRIVATE_AI_TEACHER_KEY": str(options.teacher_key or "")}
    process = subprocess.Popen(
        argv,
        env={**environ(options, 0), **own, "XDG_CACHE_HOME": str(home / ".cache")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    for line in process.stdout or ():
        print(line.rstrip(), flush=True)
        if found := _PROGRESS.search(line):
            if time.monotonic() - said > PAUSE:
                said = time.monotonic()
                say(f"the teacher has written {found[1]}{' %' if found[2] == '%' else ' rows'} for a skill")
        elif line.strip():
            tail.append(line.strip()[:300])
    if process.wait():
        raise Unfit(
            f"ilab data generate failed with exit status {process.returncode}, the teacher is "
            f"{options.teacher_url}: {' | '.join(list(tail)[-6:])}",
            status=1,
        )
