"""Reads a taxonomy (qna.yaml files), validated by instructlab-schema, into conversations; always the same
ones.

Knowledge: each question of each seed example with its answer. Skills: likewise, the context before the
question where there is one. Nothing is made up: what a teacher model would add comes from `ilab data
generate`.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
from pathlib import Path
from typing import Any

import yaml
from common import Unfit

_ERROR = re.compile(
    r"^ERROR: .*?:(?P<line>\d+):\d+ (?:\[(?P<path>\.[^ ]*|\.)\] )?(?P<message>.*)$", re.MULTILINE
)


def files(folder: Path) -> list[Path]:
    """All qna.yaml files, in an order that does not depend on the file system."""
    found = sorted(folder.rglob("qna.yaml"), key=lambda path: path.relative_to(folder).as_posix())
    if not found:
        raise Unfit(
            "the taxonomy holds no qna.yaml; put them below knowledge/ or compositional_skills/, one in "
            "each folder"
        )
    return found


def validate(file: Path, shown: str) -> list[str]:
    """What instructlab-schema says against a file, with line numbers."""
    from instructlab.schema.taxonomy import TaxonomyParser, TaxonomyReadingException

    # It asks yq for lines and warns when there is none; they are found here.
    logging.getLogger("instructlab.schema.taxonomy").setLevel(logging.ERROR)
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            parsed = TaxonomyParser(schema_version=0, message_format="standard").parse(file)
    except TaxonomyReadingException as error:
        return [f"{shown}: it cannot be read: {' '.join(str(error.__cause__).split())}"]
    if not parsed.contents:
        return [f"{shown}: it is empty; write what should be learned, or remove it"]
    if not parsed.errors:
        return []
    problems = []
    for found in _ERROR.finditer(said.getvalue()):
        line = line_of(file, found["path"]) if found["path"] else int(found["line"])
        where = f" ({found['path'].lstrip('.')})" if (found["path"] or ".") != "." else ""
        problems.append(f"{shown} line {line}: {found['message'].strip()}{where}")
    return problems


def line_of(file: Path, path: str) -> int:
    """The line on which `.seed_examples[2].answer` or its like begins."""
    node = yaml.compose(file.read_text(encoding="utf-8"))
    line = node.start_mark.line
    for name, number in re.findall(r"\.([^.\[]+)|\[(\d+)\]", path):
        if name and isinstance(node, yaml.MappingNode):
            pairs = [pair for pair in node.value if pair[0].value == name]
            if not pairs:
                break
            line, node = pairs[0][0].start_mark.line, pairs[0][1]
        elif number and isinstance(node, yaml.SequenceNode) and int(number) < len(node.value):
            node = node.value[int(number)]
            line = node.start_mark.line
    return int(line) + 1


def read(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """(where it stands, row) of every conversation; Unfit with every problem of every file."""
    problems: list[str] = []
    rows: list[tuple[str, dict[str, Any]]] = []
    for file in files(folder):
        shown = file.relative_to(folder).as_posix()
        wrong = validate(file, shown)
        problems += wrong
        if not wrong:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
            rows += [(f"{shown} {where}", row) for where, row in conversations(content)]
    if problems:
        raise Unfit(*problems)
    return rows


def conversations(content: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The rows of one file."""
    rows = []
    for number, seed in enumerate(content["seed_examples"], 1):
        if "questions_and_answers" in seed:
            for part, pair in enumerate(seed["questions_and_answers"], 1):
                rows.append(
                    (f"seed example {number}, question {part}", row(pair["question"], pair["answer"]))
                )
        else:
            context = str(seed.get("context", "")).strip()
            question = f"{context}\n\n{seed['question'].strip()}" if context else seed["question"]
            rows.append((f"seed example {number}", row(question, seed["answer"])))
    return rows


def row(question: str, answer: str) -> dict[str, Any]:
    """One conversation."""
    return {
        "messages": [
            {"role": "user", "content": question.strip()},
            {"role": "assistant", "content": answer.strip()},
        ]
    }
