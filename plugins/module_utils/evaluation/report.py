# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Reports of evaluations: what was asked of whom, what was answered, how much of it was right."""

from __future__ import annotations

import hashlib
import json
import os
import typing as t

from .scoring import Question, judge

FORMAT = 1

#: Settings that change what a model answers.
SETTINGS = ("temperature", "top_p", "max_tokens", "seed", "system")


def asked_digest(
    questions: t.Sequence[Question], settings: t.Mapping[str, t.Any], model: str | None, subject: t.Any
) -> str:
    """Return the SHA-256 of all that decides the answers: with the same, nothing needs to be asked again."""
    content = {
        "conversations": [question.conversation(settings["system"]) for question in questions],
        "settings": {name: settings[name] for name in SETTINGS},
        "model": model,
        "subject": subject,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_report(path: str | None) -> dict[str, t.Any] | None:
    """Return a report, None when there is none; ValueError when the file is something else."""
    if not path:
        return None
    try:
        with open(path, encoding="utf-8") as stream:
            found = json.load(stream)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ValueError(
            f"the report {path!r} cannot be read: {error}; remove it to have it made again"
        ) from error
    if (
        not isinstance(found, dict)
        or found.get("format") != FORMAT
        or not isinstance(found.get("answers"), list)
    ):
        raise ValueError(f"{path!r} is no report of an evaluation; remove it, or name another file")
    return found


def serialise(report: t.Mapping[str, t.Any]) -> bytes:
    """Return the bytes of a report's file."""
    return (json.dumps(report, indent=1, ensure_ascii=False) + "\n").encode()


def _summary(answers: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    asked, right = len(answers), sum(1 for answer in answers if answer["right"])
    return {
        "asked": asked,
        "right": right,
        "score": round(right / asked, 4) if asked else 0.0,
        "similarity": round(sum(answer["similarity"] for answer in answers) / asked, 4) if asked else 0.0,
    }


def build(
    questions: t.Sequence[Question],
    replies: t.Sequence[t.Mapping[str, t.Any]],
    digest: str,
    subject: t.Any,
    threshold: float,
) -> dict[str, t.Any]:
    """Judge the replies (``text``, ``model``, ``finish``, ``seconds``, ``pieces``) and return the report."""
    answers = []
    for question, reply in zip(questions, replies):
        answers.append(
            {
                "question": question.question,
                "language": question.language,
                "expect": [list(words) for words in question.expect],
                "scoring": question.scoring,
                **judge(question, reply["text"], threshold),
                "reply": dict(reply),
            }
        )
    languages = sorted({answer["language"] for answer in answers})
    return {
        "format": FORMAT,
        "asked": digest,
        "subject": subject,
        "total": _summary(answers),
        "languages": {
            name: _summary([answer for answer in answers if answer["language"] == name]) for name in languages
        },
        "answers": answers,
    }


def replies_of(report: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """Return what was answered, to be judged again."""
    return [answer["reply"] for answer in report["answers"]]


def rejudged(
    baseline: t.Mapping[str, t.Any], questions: t.Sequence[Question], threshold: float
) -> dict[str, t.Any] | None:
    """Return the earlier report under the present questions' judgement; None when it asked other ones."""
    if [answer["question"] for answer in baseline["answers"]] != [
        question.question for question in questions
    ]:
        return None
    return build(questions, replies_of(baseline), baseline["asked"], baseline["subject"], threshold)


def comparable(report: t.Mapping[str, t.Any] | None) -> t.Any:
    """Return the part that is the same when the same is answered again, only faster or slower."""
    if report is None:
        return None
    timeless = [
        {**answer, "reply": {"text": answer["reply"]["text"], "model": answer["reply"]["model"]}}
        for answer in report["answers"]
    ]
    return {**report, "answers": timeless}


def shortfalls(
    report: t.Mapping[str, t.Any],
    minimum: float,
    minimums: t.Mapping[str, float],
    before: t.Mapping[str, t.Any] | None,
    tolerance: float | None,
) -> list[str]:
    """Return in words what is not reached; without ``tolerance`` nothing is asked of the comparison."""
    missed = []
    total = report["total"]
    if total["score"] < minimum:
        missed.append(f"{share(total)} are right, {minimum:.0%} are asked for (minimum)")
    for language, wanted in sorted(minimums.items()):
        found = report["languages"].get(language)
        if found is None:
            missed.append(f"no question has the language {language!r} of minimums")
        elif found["score"] < wanted:
            missed.append(f"{language}: {share(found)} are right, {wanted:.0%} are asked for (minimums)")
    if (
        before is not None
        and tolerance is not None
        and total["score"] < round(before["total"]["score"] - tolerance, 4)
    ):
        missed.append(
            f"{share(total)} are right, {share(before['total'])} were before, and at most {tolerance:.0%} "
            "less is accepted (tolerance)"
        )
    return missed


def share(summary: t.Mapping[str, t.Any]) -> str:
    """Return a score in words: ``24 of 30 (80 %)``."""
    return f"{summary['right']} of {summary['asked']} ({100 * summary['score']:.0f} %)"


def table(report: t.Mapping[str, t.Any], before: t.Mapping[str, t.Any] | None) -> list[str]:
    """Return the figures as lines of equal width."""
    rows = [["language", "asked", "right", "share", "similarity", *(["before"] if before else [])]]
    parts = [*report["languages"].items(), ("all", report["total"])]
    for name, part in parts:
        row = [
            name,
            str(part["asked"]),
            str(part["right"]),
            f"{100 * part['score']:.0f} %",
            f"{part['similarity']:.2f}",
        ]
        if before:
            earlier = before["total"] if name == "all" else before["languages"].get(name)
            row.append(f"{100 * earlier['score']:.0f} %, {earlier['similarity']:.2f}" if earlier else "-")
        rows.append(row)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        )
        for row in rows
    ]


def folder_problem(path: str) -> str | None:
    """Return why a report cannot be written there, None when it can."""
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        return f"the directory of report {path!r} does not exist; make it first (ansible.builtin.file)"
    return f"report {path!r} is a directory; name a file in it" if os.path.isdir(path) else None
