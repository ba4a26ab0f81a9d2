"""Takes the `<think>` markup out of a streamed answer, whatever way it is cut into pieces.

Three kinds of answer exist: `<think>…</think>answer`; only `…</think>answer`, because R1's own template
has opened the tag in the prompt; and answers without any thinking. The second and the third cannot be told
apart before `</think>` arrives, so the mode decides:

auto         text before a tag is shown as the answer; when `</think>` turns up, RECLASSIFY says that all of
             it was thinking. Nothing is held back.
tagged       only a `<think>` at the very start opens thinking; a lone `</think>` is text.
starts-open  the answer starts inside the thinking (for templates known to open it).
off          no markup is touched.
"""

from __future__ import annotations

from enum import Enum


class Part(Enum):
    """What a piece of text is."""

    THINKING = "thinking"
    ANSWER = "answer"
    RECLASSIFY = "reclassify"  # carries no text: all ANSWER text so far was THINKING


OPEN = "<think>"
CLOSE = "</think>"


class ThinkingParser:
    """`feed` pieces in order, then `finish`; both return `(part, text)` pairs, neighbours merged."""

    def __init__(self, mode: str = "auto") -> None:
        self._watch = mode != "off"  # a tag can still turn up
        self._part = Part.THINKING if mode == "starts-open" else Part.ANSWER
        self._lone_close = mode == "auto"  # a </think> without <think> counts
        self._start = self._watch  # nothing but white space and perhaps a part of <think> so far
        self._skip_space = False
        self._sent_answer = False
        self._held = ""

    def feed(self, text: str) -> list[tuple[Part, str]]:
        """The next piece of the answer."""
        if not self._watch and not self._skip_space:
            return [(self._part, text)] if text else []
        out: list[tuple[Part, str]] = []
        text = self._held + text
        self._held = ""
        if self._start:
            stripped = text.lstrip()
            if len(stripped) < len(OPEN) and OPEN.startswith(stripped):
                self._held = text
                return out
            self._start = False
            if stripped.startswith(OPEN):
                self._part = Part.THINKING
                text = stripped[len(OPEN) :]
                self._skip_space = True
            elif self._part is Part.ANSWER and not self._lone_close:
                self._watch = False
        if self._watch:
            text = self._until_close(text, out)
        self._put(out, self._part, text)
        return out

    def finish(self) -> list[tuple[Part, str]]:
        """What was held back because it might have been the beginning of a tag."""
        out: list[tuple[Part, str]] = []
        held, self._held = self._held, ""
        self._put(out, self._part, held)
        return out

    def _until_close(self, text: str, out: list[tuple[Part, str]]) -> str:
        """Handles CLOSE in `text`; returns what belongs to the part that is current afterwards."""
        before, tag, after = text.partition(CLOSE)
        if not tag:
            keep = _tag_prefix(text)
            self._held = text[len(text) - keep :]
            return text[: len(text) - keep]
        if self._part is Part.ANSWER:  # auto: it was thinking all the time
            if self._sent_answer:
                out.append((Part.RECLASSIFY, ""))
            self._part = Part.THINKING
        self._put(out, Part.THINKING, before)
        self._watch = False
        self._part = Part.ANSWER
        self._skip_space = True
        return after

    def _put(self, out: list[tuple[Part, str]], part: Part, text: str) -> None:
        if self._skip_space:
            text = text.lstrip()
            self._skip_space = not text
        if text:
            out.append((part, text))
            self._sent_answer = self._sent_answer or part is Part.ANSWER


def _tag_prefix(text: str) -> int:
    """How many characters at the end of `text` might begin CLOSE."""
    for length in range(min(len(CLOSE) - 1, len(text)), 0, -1):
        if text.endswith(CLOSE[:length]):
            return length
    return 0


def split_answer(text: str, mode: str = "auto") -> tuple[str, str]:
    """(thinking, answer) of a complete text."""
    parser = ThinkingParser(mode)
    thinking = answer = ""
    for part, piece in parser.feed(text) + parser.finish():
        if part is Part.RECLASSIFY:
            thinking, answer = thinking + answer, ""
        elif part is Part.THINKING:
            thinking += piece
        else:
            answer += piece
    return thinking, answer
