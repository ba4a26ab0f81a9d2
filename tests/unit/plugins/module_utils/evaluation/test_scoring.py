# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What counts as a right answer, and what a report makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.evaluation import report, scoring


def right(reply: str, expect: Any, way: str = "contains", threshold: float = 0.6, **more: Any) -> bool:
    question = scoring.parse_question(1, {"question": "Q?", "expect": expect, **more}, way)
    return bool(scoring.judge(question, reply, threshold)["right"])


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ("<think>\nno\n</think>\n\nYes.", "Yes."),
        ("opened in the prompt</think> Yes.", "Yes."),
        ("Yes.", "Yes."),
        ("<think>never closed: Yes.", ""),
        ("<think>a</think>b<think>c</think>d", "d"),
    ],
)
def test_thinking_is_not_the_answer(reply: str, read: str) -> None:
    assert scoring.without_thinking(reply) == read


@pytest.mark.parametrize(
    ("reply", "expect", "is_right"),
    [
        ("It is ENCRYPTED by TLS.", ["encrypt", "tls"], True),
        ("It is encrypted.", ["encrypt", "tls"], False),
        ("By mutual TLS", [["tls", "ssl"]], True),
        ("By hand", [["tls", "ssl"]], False),
        ("There are 15 of them", "5", False),
        ("There are 5 of them", "5", True),
        ("Um  crachá\n válido", "CRACHÁ VÁLIDO", True),
        ("Um cracha", "crachá", False),
        ("<think>tls</think>No idea.", "tls", False),
    ],
)
def test_contains(reply: str, expect: Any, is_right: bool) -> None:
    assert right(reply, expect) is is_right


def test_exact() -> None:
    assert right("  Port 8000. ", ["port 8000", "8000"], "exact")
    assert not right("It is port 8000", ["port 8000"], "exact")


def test_similarity() -> None:
    reference = "The badge opens the laboratory."
    assert right("The badge opens a laboratory", reference, "similarity", 0.9)
    assert not right("Nobody knows", reference, "similarity", 0.9)
    assert right("Nobody knows", reference, "similarity", 0.0)
    assert right("Nobody knows", [reference, "Nobody knows."], "similarity", 0.9)


def test_similarity_is_measured_against_the_whole_answer() -> None:
    question = scoring.parse_question(
        1, {"question": "Q", "expect": ["badge"], "answer": "By the badge"}, "contains"
    )
    assert scoring.judge(question, "By the badge.", 0.6) == {
        "answer": "By the badge.",
        "similarity": 1.0,
        "right": True,
    }


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("text", "mapping with question"),
        ({"expect": "a"}, "question 3 has no question"),
        ({"question": "Q"}, "neither expect nor answer"),
        ({"question": "Q", "expect": ["..."]}, "texts, or lists of texts"),
        ({"question": "Q", "expect": [[]]}, "texts, or lists of texts"),
        ({"question": "Q", "expect": "a", "scoring": "guess"}, "exact, contains, similarity"),
        ({"question": "Q", "answer": "a"}, "contains needs expect"),
        ({"question": "Q", "expect": "a", "languge": "en"}, "languge is not known"),
    ],
)
def test_a_bad_question_is_named(entry: Any, said: str) -> None:
    with pytest.raises(ValueError, match="question 3") as error:
        scoring.parse_question(3, entry, "contains")
    assert said in str(error.value)


def test_keywords_beside_a_whole_answer() -> None:
    entry = {"question": "Q", "expect": "By the badge.", "keywords": ["badge"]}
    question = scoring.parse_question(1, entry, "contains")
    assert (question.expect, question.answer) == ((("badge",),), "By the badge.")
    assert scoring.judge(question, "the badge", 0.6)["right"]


@pytest.mark.parametrize("form", ["list", "mapping", "lines"])
def test_files(tmp_path: Path, form: str) -> None:
    entries = [{"question": "A", "expect": "1"}, {"question": "B", "expect": "2", "language": "pt"}]
    path = tmp_path / "questions"
    text = {
        "list": json.dumps(entries),
        "mapping": json.dumps({"about": "these", "questions": entries}),
        "lines": "\n".join(map(json.dumps, entries)) + "\n",
    }[form]
    path.write_text(text)
    found = scoring.read_questions(str(path), "contains")
    assert [(q.question, q.language) for q in found] == [("A", "und"), ("B", "pt")]


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json", "\xff"])
def test_a_file_without_questions_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "questions.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"questions\.json"):
        scoring.read_questions(str(path), "contains")


QUESTIONS = scoring.parse_questions(
    [
        {"question": "A", "expect": "one", "language": "en"},
        {"question": "B", "expect": "two", "language": "en"},
        {"question": "C", "expect": "três", "language": "pt"},
    ],
    "contains",
)


def reported(*texts: str) -> dict[str, Any]:
    replies = [{"text": text, "model": "m", "finish": "stop", "seconds": 0.1, "pieces": 1} for text in texts]
    return report.build(QUESTIONS, replies, "digest", {"sha256": "ab"}, 0.6)


def test_figures_by_language() -> None:
    made = reported("one", "no", "três")
    assert made["total"] == {
        "asked": 3,
        "right": 2,
        "score": 0.6667,
        "similarity": made["total"]["similarity"],
    }
    assert (made["languages"]["en"]["right"], made["languages"]["pt"]["score"]) == (1, 1.0)
    assert json.loads(report.serialise(made)) == made


def test_shortfalls() -> None:
    before, after = reported("one", "two", "três"), reported("one", "no", "três")
    assert report.shortfalls(after, 0.5, {"pt": 1.0}, before, None) == []
    assert report.shortfalls(after, 0.0, {}, before, 0.34) == []
    assert (
        "2 of 3 (67 %) are right, 3 of 3 (100 %) were before"
        in report.shortfalls(after, 0, {}, before, 0.3)[0]
    )
    missed = report.shortfalls(after, 0.9, {"en": 0.6, "de": 0.1}, None, None)
    assert (
        len(missed) == 3 and "90%" in missed[0] and "'de'" in missed[1] and missed[2].startswith("en: 1 of 2")
    )


def test_table() -> None:
    lines = report.table(reported("one", "no", "três"), reported("no", "no", "no"))
    assert len(lines) == 4 and len({len(line) for line in lines}) == 1
    assert lines[1].split()[:4] == ["en", "2", "1", "50"] and lines[3].startswith("all")
    assert "before" in lines[0] and "0 %" in lines[3]


def test_an_earlier_report_is_judged_by_todays_questions() -> None:
    earlier = reported("one", "no", "três")
    stricter = [question._replace(scoring="exact", expect=(("uno",),)) for question in QUESTIONS]
    again = report.rejudged(earlier, stricter, 0.6)
    assert again is not None and again["total"]["right"] == 0
    assert report.rejudged(earlier, QUESTIONS[:2], 0.6) is None


def test_times_are_no_change() -> None:
    one, two = reported("one", "two", "três"), reported("one", "two", "três")
    two["answers"][0]["reply"]["seconds"] = 99
    assert report.comparable(one) == report.comparable(two) != report.comparable(reported("x", "two", "três"))
    assert one["answers"][0]["reply"]["seconds"] == 0.1


def test_the_digest_covers_what_decides_the_answers() -> None:
    settings = {"temperature": 0, "top_p": 1, "max_tokens": 9, "seed": 1, "system": ""}

    def digest(questions: Any = QUESTIONS, model: Any = "m", subject: Any = None, **more: Any) -> str:
        return report.asked_digest(questions, {**settings, **more}, model, subject)

    assert digest() == digest()
    others = [
        digest(QUESTIONS[:1]),
        digest(model="n"),
        digest(subject={"sha256": "a"}),
        *(digest(**{name: 7}) for name in settings),
    ]
    assert len({digest(), *others}) == 1 + len(others)
    # Another way of judging needs no new answers.
    assert digest([question._replace(scoring="exact") for question in QUESTIONS]) == digest()


@pytest.mark.parametrize("text", ["{}", "[1]", "no", '{"format": 99, "answers": []}'])
def test_what_is_no_report(tmp_path: Path, text: str) -> None:
    path = tmp_path / "report.json"
    assert report.read_report(str(path)) is None
    path.write_text(text)
    with pytest.raises(ValueError, match=r"report\.json"):
        report.read_report(str(path))
