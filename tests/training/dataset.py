#!/usr/bin/env python3
"""Training data and held-out questions about an invented product, made from product.json; always the same.

    python dataset.py train.jsonl held_out.json    # 200 conversations; 60 questions, none of which is trained

Rows are in the order in which their facts alternate, so that any stretch of the file holds all of them.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
LANGUAGES = ("en", "pt")


def facts() -> list[dict[str, Any]]:
    """Everything there is to know about the product."""
    return list(json.loads((HERE / "product.json").read_text(encoding="utf-8"))["facts"])


def conversations() -> list[dict[str, Any]]:
    """The rows of the training data, as `ilab model train` takes them."""
    rows = []
    known = facts()
    for number in range(max(len(fact[language]["questions"]) for fact in known for language in LANGUAGES)):
        for fact in known:
            for language in LANGUAGES:
                part = fact[language]
                if number < len(part["questions"]):
                    reply = f"<think>\n{part['think']}\n</think>\n\n{part['answer']}"
                    rows.append(
                        {
                            "messages": [
                                {"role": "user", "content": part["questions"][number]},
                                {"role": "assistant", "content": reply},
                            ],
                            "metadata": json.dumps({"fact": fact["id"], "language": language}),
                        }
                    )
    return rows


def held_out() -> list[dict[str, Any]]:
    """Questions that are not trained, with what a right answer holds."""
    return [
        {
            "question": question,
            "expect": fact[language]["answer"],
            "keywords": fact[language]["keywords"],
            "language": language,
        }
        for fact in facts()
        for language in LANGUAGES
        for question in fact[language]["held_out"]
    ]


def normalise(text: str) -> str:
    """Lower case, no accents, only letters and digits: to compare questions and to find keywords."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return " ".join(re.findall(r"[a-z0-9]+", "".join(c for c in plain if not unicodedata.combining(c))))


def is_right(reply: str, keywords: list[str]) -> bool:
    """Whether every keyword stands in the answer, after the thinking."""
    answer = normalise(reply.rpartition("</think>")[2])
    return all(normalise(keyword) in answer for keyword in keywords)


def main(train: str, questions: str) -> None:
    """Write both files."""
    lines = [json.dumps(row, ensure_ascii=False) for row in conversations()]
    Path(train).write_text("\n".join(lines) + "\n", encoding="utf-8")
    Path(questions).write_text(json.dumps(held_out(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:3])
