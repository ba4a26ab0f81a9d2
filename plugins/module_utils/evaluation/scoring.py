# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Questions as their owner wrote them, and whether an answer is right."""

from __future__ import annotations

import difflib
import json
import re
import typing as t
import unicodedata

SCORINGS = ("exact", "contains", "similarity")

#: BCP 47 for "not said".
NO_LANGUAGE = "und"

#: Punctuation and quotation marks that do not count at either end.
_FINAL = " .!?;:,\"'\u2018\u2019\u201c\u201d\u00ab\u00bb\u2026"

_FIELDS = {"question", "expect", "keywords", "answer", "language", "scoring", "system"}


class Question(t.NamedTuple):
    """One question and what a right answer is.

    ``expect`` holds, for ``contains``, what must occur, each a list of alternatives; for the other ways each
    of its texts is a right answer. ``answer`` is a whole right answer, for the similarity.
    """

    question: str
    expect: tuple[tuple[str, ...], ...]
    answer: str
    language: str
    scoring: str
    system: str

    def references(self) -> list[str]:
        """Return the texts that an answer is compared with as a whole."""
        return (
            [self.answer] if self.answer else [text for alternatives in self.expect for text in alternatives]
        )

    def conversation(self, system: str) -> list[dict[str, str]]:
        """Return the messages that are sent."""
        said = self.system or system
        asked = [{"role": "user", "content": self.question}]
        return [{"role": "system", "content": said}, *asked] if said else asked


def _texts(where: str, value: t.Any) -> tuple[tuple[str, ...], ...]:
    entries = value if isinstance(value, list) else [value]
    found = []
    for entry in entries:
        alternatives = entry if isinstance(entry, list) else [entry]
        texts = tuple(str(text) for text in alternatives if isinstance(text, (str, int, float)))
        if len(texts) != len(alternatives) or not all(plain(text) for text in texts) or not texts:
            raise ValueError(
                f"{where}: expect is {value!r}; texts, or lists of texts of which one is enough, are needed"
            )
        found.append(texts)
    return tuple(found)


def parse_question(number: int, entry: t.Any, scoring: str) -> Question:
    """Return one question; ValueError names what is wrong with it."""
    where = f"question {number}"
    if not isinstance(entry, dict):
        raise ValueError(f"{where} is {entry!r}; a mapping with question and expect is needed")
    unknown = sorted(set(entry) - _FIELDS)
    if unknown:
        raise ValueError(
            f"{where}: {', '.join(unknown)} is not known; known are {', '.join(sorted(_FIELDS))}"
        )
    text = entry.get("question")
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{where} has no question; write its text")
    wanted, answer = entry.get("expect"), str(entry.get("answer") or "")
    if entry.get("keywords"):
        # With words to look for, a single expected text is the whole answer.
        answer = answer or (wanted if isinstance(wanted, str) else "")
        wanted = entry["keywords"]
    expect = _texts(where, wanted) if wanted not in (None, "", []) else ()
    if not expect and not answer:
        raise ValueError(f"{where} has neither expect nor answer; write what a right answer is or has in it")
    way = entry.get("scoring") or scoring
    if way not in SCORINGS:
        raise ValueError(f"{where}: scoring is {way!r}; it can be {', '.join(SCORINGS)}")
    if way == "contains" and not expect:
        raise ValueError(f"{where}: scoring contains needs expect, the words that a right answer has in it")
    return Question(
        text.strip(),
        expect,
        answer,
        str(entry.get("language") or NO_LANGUAGE),
        way,
        str(entry.get("system") or ""),
    )


def parse_questions(entries: t.Any, scoring: str) -> list[Question]:
    """Return the questions of a list, or of a mapping that has the list under ``questions``."""
    if isinstance(entries, dict):
        entries = entries.get("questions")
    if not isinstance(entries, list) or not entries:
        raise ValueError("there are no questions; write a list of mappings with question and expect")
    return [parse_question(number, entry, scoring) for number, entry in enumerate(entries, 1)]


def read_questions(path: str, scoring: str) -> list[Question]:
    """Return the questions of a JSON file, or of one with a mapping on each line; ValueError otherwise."""
    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"questions_file {path!r} cannot be read: {error}; name a JSON file on this host"
        ) from error
    try:
        try:
            entries = json.loads(text)
        except ValueError:
            entries = [json.loads(line) for line in text.splitlines() if line.strip()]
        return parse_questions(entries, scoring)
    except ValueError as error:
        raise ValueError(f"questions_file {path!r}: {error}") from error


def without_thinking(reply: str) -> str:
    """Return what a visitor reads of a reply.

    A template may have opened the thinking in the prompt, so the closing tag alone is enough; thinking that
    was cut off leaves no answer.
    """
    if "</think>" in reply:
        return reply.rpartition("</think>")[2].strip()
    return reply.partition("<think>")[0].strip()


def plain(text: str) -> str:
    """Return the text as it is compared: case, kind of spaces and final punctuation do not count."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"\s+", " ", folded).strip().strip(_FINAL)


def similarity(answer: str, references: t.Iterable[str]) -> float:
    """Return how alike the answer is to the most alike reference, 0 to 1 (Ratcliff and Obershelp)."""
    given = plain(answer)
    ratios = [
        difflib.SequenceMatcher(None, plain(text), given, autojunk=False).ratio() for text in references
    ]
    return round(max(ratios, default=0.0), 4)


def _holds(answer: str, word: str) -> bool:
    # "encrypt" is in "encrypted", but the number 5 is not in 15.
    wanted = plain(word)
    before = r"(?<!\d)" if wanted[:1].isdigit() else ""
    after = r"(?!\d)" if wanted[-1:].isdigit() else ""
    return re.search(before + re.escape(wanted) + after, plain(answer)) is not None


def judge(question: Question, reply: str, threshold: float) -> dict[str, t.Any]:
    """Return ``answer``, ``similarity`` and whether it is ``right``.

    :param threshold: the least similarity of a right answer when the question is scored by it.
    """
    answer = without_thinking(reply)
    alike = similarity(answer, question.references())
    if question.scoring == "exact":
        right = plain(answer) in {plain(text) for text in question.references()}
    elif question.scoring == "contains":
        right = all(any(_holds(answer, word) for word in words) for words in question.expect)
    else:
        right = alike >= threshold
    return {"answer": answer, "similarity": alike, "right": right}
