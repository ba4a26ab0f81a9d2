from __future__ import annotations

import itertools
import random

import pytest

from private_ai_chatbot.thinking import Part, ThinkingParser, split_answer

CASES = [
    # mode, text, thinking, answer
    ("auto", "<think>a < b</think>\n\nyes", "a < b", "yes"),
    ("auto", "\n <think>\nhm</think>ok", "hm", "ok"),
    ("auto", "hm so</think>\n\nok", "hm so", "ok"),
    ("auto", "</think>ok", "", "ok"),
    ("auto", "just an answer", "", "just an answer"),
    ("auto", "<think>never ends", "never ends", ""),
    ("auto", "a <think> b", "", "a <think> b"),
    ("auto", "<think></think>x</think>y", "", "x</think>y"),
    ("auto", "<thin", "", "<thin"),
    ("auto", "ends with </thin", "", "ends with </thin"),
    ("auto", "<think>é<</think></think>", "é<", "</think>"),
    ("auto", "   ", "", "   "),
    ("tagged", "hm</think>ok", "", "hm</think>ok"),
    ("tagged", "<think>hm</think>ok", "hm", "ok"),
    ("starts-open", "hm</think> ok", "hm", "ok"),
    ("starts-open", "<think>hm</think>ok", "hm", "ok"),
    ("starts-open", "only thinking", "only thinking", ""),
    ("off", "<think>a</think>b", "", "<think>a</think>b"),
]


def shown(mode: str, pieces: list[str]) -> tuple[str, str]:
    parser = ThinkingParser(mode)
    thinking = answer = ""
    parts = [part for piece in pieces for part in parser.feed(piece)] + parser.finish()
    for part, text in parts:
        if part is Part.RECLASSIFY:
            assert not thinking, "only text shown as the answer can turn out to be thinking"
            thinking, answer = answer, ""
        elif part is Part.THINKING:
            thinking += text
        else:
            answer += text
    return thinking, answer


@pytest.mark.parametrize(("mode", "text", "thinking", "answer"), CASES)
def test_every_way_of_cutting_gives_the_same(mode: str, text: str, thinking: str, answer: str) -> None:
    assert split_answer(text, mode) == (thinking, answer)
    for first, second in itertools.combinations_with_replacement(range(len(text) + 1), 2):
        assert shown(mode, [text[:first], text[first:second], text[second:]]) == (thinking, answer), (
            first,
            second,
        )
    assert shown(mode, list(text)) == (thinking, answer)


def test_random_texts_of_tag_pieces_do_not_depend_on_the_cutting() -> None:
    dice = random.Random(4)
    for _ in range(400):
        mode = dice.choice(["auto", "tagged", "starts-open", "off"])
        text = "".join(
            dice.choice(["<think>", "</think>", "<", "</", "think>", "a", " ", "\n"]) for _ in range(9)
        )
        cuts = sorted(dice.randrange(len(text) + 1) for _ in range(dice.randrange(6)))
        pieces = [text[a:b] for a, b in itertools.pairwise([0, *cuts, len(text)])]
        assert shown(mode, pieces) == split_answer(text, mode), (mode, pieces)


def test_nothing_but_a_possible_tag_is_held_back() -> None:
    parser = ThinkingParser("auto")
    assert parser.feed("Hello") == [(Part.ANSWER, "Hello")]
    assert parser.feed(" x <") == [(Part.ANSWER, " x ")]
    assert parser.feed("b") == [(Part.ANSWER, "<b")]


def test_a_lone_closing_tag_reclassifies_once() -> None:
    parser = ThinkingParser("auto")
    parts = parser.feed("hm ") + parser.feed("so</think>yes") + parser.feed("</think>")
    assert [part for part, _ in parts] == [
        Part.ANSWER,
        Part.RECLASSIFY,
        Part.THINKING,
        Part.ANSWER,
        Part.ANSWER,
    ]
