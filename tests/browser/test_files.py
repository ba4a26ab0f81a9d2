"""What the page's files must agree on; needs no browser."""

from __future__ import annotations

import json
import re
from pathlib import Path

STATIC = Path(__file__).resolve().parents[2] / "chatbot_app" / "src" / "private_ai_chatbot" / "static"
NUMBERED = {"one", "two", "few", "other", "next"}


def texts(language: str) -> dict[str, str]:
    """The texts of one language."""
    return dict(json.loads((STATIC / "i18n" / f"{language}.json").read_text(encoding="utf-8")))


def sources() -> str:
    """All of our own HTML and JavaScript."""
    files = [STATIC / "index.html", *STATIC.glob("*.js"), *STATIC.glob("js/*.js")]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def test_both_languages_say_the_same() -> None:
    """The same keys, the same values to fill in, and nothing empty."""
    english, portuguese = texts("en"), texts("pt-BR")
    assert english.keys() == portuguese.keys()
    for key, text in english.items():
        assert text.strip(), key
        assert portuguese[key].strip(), key
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", portuguese[key])), key


def test_each_text_is_used_and_each_use_has_a_text() -> None:
    """Keys in index.html and in the scripts exist; keys that nobody uses are gone."""
    known = texts("en").keys()
    source = sources()
    literal = set(re.findall(r"""["'`]([a-z]+(?:\.[a-z_0-9]+)+)["'`]""", source))
    built = set(re.findall(r"`([a-z]+(?:\.[a-z]+)*\.)\$\{", source))
    stems = {key.rsplit(".", 1)[0] for key in known if key.rsplit(".", 1)[1] in NUMBERED}
    used = {key for key in known if key in literal or any(key.startswith(prefix) for prefix in built)}
    used |= {key for key in known if key.rsplit(".", 1)[0] in literal & stems}
    assert known - used == set()
    heads = {key.split(".")[0] for key in known}
    files = re.compile(r"\.(?:js|json|css|svg|html|md)$")
    missing = {key for key in literal if key.split(".")[0] in heads and not files.search(key)} - known - stems
    assert missing == set()


def test_both_dark_lists_are_equal() -> None:
    """The colours for a dark system and for a chosen dark theme are two lists in CSS; they must not drift."""
    css = (STATIC / "style.css").read_text(encoding="utf-8")
    system = re.search(r':root:not\(\[data-theme="light"\]\) \{(.*?)\}', css, re.S)
    chosen = re.search(r':root\[data-theme="dark"\] \{(.*?)\}', css, re.S)
    assert system is not None
    assert chosen is not None
    assert system.group(1).split() == chosen.group(1).split()


def test_nothing_is_inline_or_from_elsewhere() -> None:
    """No inline script, style or handler, no address but relative ones."""
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)
    assert not re.search(r"<style|\sstyle=|\son\w+=", html)
    addresses = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert addresses
    assert [one for one in addresses if not re.match(r"(?:static/|#|$)", one)] == []
    own = sources() + (STATIC / "style.css").read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\s\"'`)/]+", own)) <= {"http://www.w3.org"}
