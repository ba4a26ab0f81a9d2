"""The demo model's text: topics, off-topic questions, held-out questions, and the noise put on them.

Only the standard library, so that the trainer, the evaluator and the tests can share it.
"""

from __future__ import annotations

import json
import random
import re
import string
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
LANGUAGES = ("en", "pt")
OFF_TOPIC = "off-topic"


@dataclass(frozen=True)
class Item:
    """One kind of question in one language: what may be asked, thought and answered."""

    topic: str
    language: str
    questions: tuple[str, ...]
    think: str
    answers: tuple[str, ...]
    keywords: tuple[str, ...]
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Turn:
    """A sampled question with its thought and answer, already noisy."""

    question: str
    think: str
    answer: str


def normalise(text: str) -> str:
    """Lower case, no accents, no punctuation at the edges, single spaces: to compare texts."""
    text = unicodedata.normalize("NFKD", text.casefold())
    text = "".join(c for c in text if not unicodedata.combining(c))
    return re.sub(r"\s+", " ", text).strip(" ?!.,;:\"'")


def read_json(name: str, folder: Path = HERE) -> Any:
    """The parsed contents of one of the JSON files beside this module."""
    return json.loads((folder / name).read_text(encoding="utf-8"))


def load_items(folder: Path = HERE) -> list[Item]:
    """All topics in both languages; the off-topic items come last."""
    items = []
    for topic in read_json("topics.json", folder)["topics"]:
        for language in LANGUAGES:
            part = topic[language]
            items.append(
                Item(
                    topic["id"],
                    language,
                    tuple(part["questions"]),
                    part["think"],
                    (part["answer"],),
                    tuple(part["keywords"]),
                    tuple(topic.get("subjects", {}).get(language, ())),
                )
            )
    for language, part in read_json("off_topic.json", folder).items():
        items.append(
            Item(
                OFF_TOPIC,
                language,
                tuple(part["questions"]),
                part["think"],
                tuple(part["answers"]),
                tuple(part["keywords"]),
            )
        )
    return items


def matches(answer: str, keywords: tuple[str, ...] | list[str]) -> bool:
    """Whether every keyword is in the answer; `a|b` accepts either. Case and accents do not count."""
    plain = normalise(answer)
    return all(any(normalise(k) in plain for k in group.split("|")) for group in keywords)


def split_thinking(text: str) -> tuple[str | None, str]:
    """(thinking, answer) of a raw reply; thinking is None when no `</think>` closes it."""
    head, mark, tail = text.partition("</think>")
    if not mark:
        return None, text.strip()
    return head.replace("<think>", "").strip(), tail.strip()


def expand(frames: list[str], fillers: list[str] | tuple[str, ...]) -> list[str]:
    """Every frame filled with every subject."""
    return [frame.replace("{x}", filler) for frame in frames for filler in fillers]


def trained_wordings(folder: Path = HERE) -> set[str]:
    """Normalised form of every question the trainer can draw, before noise."""
    frames = read_json("topics.json", folder)["frames"]
    seen: set[str] = set()
    for item in load_items(folder):
        seen.update(map(normalise, item.questions))
        seen.update(map(normalise, expand(frames[item.language], item.subjects)))
    for part in read_json("off_topic.json", folder).values():
        for group in part["groups"]:
            seen.update(map(normalise, expand(group["frames"], group["fillers"])))
    return seen


class Sampler:
    """Draws noisy conversations; the same seed gives the same sequence."""

    def __init__(self, seed: int, off_topic_share: float = 0.3, folder: Path = HERE) -> None:
        self.rng = random.Random(seed)
        self.off_topic_share = off_topic_share
        self.frames = read_json("topics.json", folder)["frames"]
        self.noise = read_json("noise.json", folder)
        self.groups = {lang: part["groups"] for lang, part in read_json("off_topic.json", folder).items()}
        self.items = load_items(folder)
        self.by_language = {
            lang: (
                [i for i in self.items if i.language == lang and i.topic != OFF_TOPIC],
                next(i for i in self.items if i.language == lang and i.topic == OFF_TOPIC),
            )
            for lang in LANGUAGES
        }

    def turn(self, language: str) -> Turn:
        """One question with its thought and answer."""
        rng = self.rng
        topics, off_topic = self.by_language[language]
        if rng.random() < self.off_topic_share:
            item = off_topic
            question = self._off_topic_question(item, topics)
        else:
            item = rng.choice(topics)
            if item.subjects and rng.random() < 0.25:
                question = rng.choice(self.frames[language]).replace("{x}", rng.choice(item.subjects))
            else:
                question = rng.choice(item.questions)
        return Turn(self.noisy(question, language), item.think, rng.choice(item.answers))

    def _off_topic_question(self, off_topic: Item, topics: list[Item]) -> str:
        """A question to refuse: listed, filled in, on unknown words, or ours about other subjects.

        So the model learns to look for its own subjects instead of remembering what is not one of them.
        """
        rng = self.rng
        language = off_topic.language
        groups = self.groups[language]
        group = rng.choice(groups)
        kind = rng.random()
        if kind < 0.25:
            return rng.choice(off_topic.questions)
        if kind < 0.60:
            return str(rng.choice(group["frames"]).replace("{x}", rng.choice(group["fillers"])))
        if kind < 0.70:
            return str(rng.choice(group["frames"]).replace("{x}", rng.choice(rng.choice(groups)["fillers"])))
        if kind < 0.82:
            frame = rng.choice(self.frames[language] if rng.random() < 0.5 else group["frames"])
            return str(frame.replace("{x}", self._other_word(language)))
        return self._turned_off_topic(rng.choice(rng.choice(topics).questions), language) or rng.choice(
            off_topic.questions
        )

    def _other_word(self, language: str) -> str:
        """An invented word, or one from the off-topic subjects."""
        rng = self.rng
        if rng.random() < 0.5:
            words = rng.choice(rng.choice(self.groups[language])["fillers"]).split()
            return str(max(words, key=len))
        parts = self.noise["syllables"]
        word = "".join(
            rng.choice(parts["starts"]) + rng.choice(parts["middles"]) for _ in range(rng.randint(1, 3))
        )
        word += rng.choice(parts["ends"])
        return word.capitalize() if rng.random() < 0.2 else word

    def _turned_off_topic(self, question: str, language: str) -> str | None:
        """The same question with all its subjects replaced; None when it has none."""
        words = question.split()
        replaced = 0
        for at, word in enumerate(words):
            bare = word.strip("?!.,;:").casefold()
            if len(bare) > 3 and bare not in self.noise["shape_words"][language]:
                words[at] = self._other_word(language) + ("?" if word.endswith("?") else "")
                replaced += 1
            elif bare in self.noise["short_subjects"]:
                return None
        return " ".join(words) if replaced else None

    def conversation(self) -> tuple[str | None, list[Turn]]:
        """(system prompt or None, turns): the last turn is the one to learn."""
        rng = self.rng
        language = rng.choice(LANGUAGES)
        system = rng.choice(self.noise["system_prompts"]) if rng.random() < 0.15 else None
        earlier = rng.choices((0, 1, 2, 3), (80, 14, 4, 2))[0]
        turns = [self.turn(language if rng.random() < 0.9 else rng.choice(LANGUAGES)) for _ in range(earlier)]
        return system, [*turns, self.turn(language)]

    def noisy(self, text: str, language: str) -> str:
        """The same question as people really type it."""
        rng = self.rng
        if rng.random() < 0.35:
            text = self._synonym(text, language)
        if rng.random() < 0.2:
            before = rng.choice(self.noise["polite_before"][language])
            text = before + (text[:1].lower() + text[1:] if text[1:2].islower() else text)
        if rng.random() < 0.1:
            text = (
                text.rstrip("?!. ")
                + rng.choice(self.noise["polite_after"][language])
                + ("?" if text.endswith("?") else "")
            )
        words = text.split()
        if len(words) > 3 and rng.random() < 0.12:
            del words[rng.randrange(len(words))]
            text = " ".join(words)
        if rng.random() < 0.12:
            text = self._typo(text)
        if rng.random() < 0.3:
            text = text.rstrip("?!.")
        elif rng.random() < 0.1 and not text.endswith("?"):
            text += rng.choice("?.!")
        case = rng.random()
        if case < 0.3:
            text = text.lower()
        elif case < 0.33:
            text = text.upper()
        elif case < 0.6:
            text = text[:1].upper() + text[1:]
        if language == "pt" and rng.random() < 0.2:
            text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
        return text or "?"

    def _synonym(self, text: str, language: str) -> str:
        pairs = [
            (old, new)
            for old, new in self.noise["synonyms"][language].items()
            if re.search(rf"\b{re.escape(old)}\b", text, re.IGNORECASE)
        ]
        if not pairs:
            return text
        old, new = self.rng.choice(pairs)
        return re.sub(rf"\b{re.escape(old)}\b", self.rng.choice(new), text, count=1, flags=re.IGNORECASE)

    def _typo(self, text: str) -> str:
        rng = self.rng
        at = rng.randrange(len(text))
        kind = rng.randrange(4)
        if kind == 0:
            return text[:at] + text[at + 1 :]
        if kind == 1:
            return text[:at] + text[at] + text[at:]
        if kind == 2:
            return text[:at] + rng.choice(string.ascii_lowercase) + text[at + 1 :]
        return text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :]
