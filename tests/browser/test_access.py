"""Accessibility by axe-core, and the rules that it cannot know."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.tabs import TabMaker
from tests.standins.page_backend import Backend

AXE = Path(__file__).resolve().parent / "vendor" / "axe.js"
TEXT = (
    "## Parts\n\nA **private** model, see [the site](https://example.com).\n\n1. one\n2. two\n\n"
    "```python\n# a comment\ndef ask(question: str) -> int:\n    return 42 + len('text')\n```\n\n"
    "```yaml\nkey: value  # comment\n```\n\n> a quote\n\n| a | b |\n|---|---|\n| 1 | `2` |"
)
RUN = """
() => axe.run(document, {
  runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}).then((result) => result.violations.map((one) =>
  `${one.impact} ${one.id}: ` +
  one.nodes.map((node) => `${node.target.join(" ")} ${node.any[0]?.message ?? ""}`).join(" | ")))
"""


# Contrast does not depend on the language nor names on the colours, so two of the four pairs are enough.
@pytest.mark.parametrize(("scheme", "language"), [("light", "en-US"), ("dark", "pt-BR")])
def test_axe_finds_nothing(scripted: Backend, tab: TabMaker, scheme: str, language: str) -> None:
    """Empty, with an answer, an error, a waiting question, an edit, a dialog, and as a phone's drawer."""
    one = tab(scripted.url, color_scheme=scheme, locale=language, reduced_motion="reduce")
    one.page.context.add_init_script(path=AXE)
    page = one.open()
    found: dict[str, list[str]] = {}

    def look(state: str) -> None:
        found[state] = page.evaluate(RUN)

    look("empty")
    scripted.script = [{"delta": {"reasoning_content": "Let me think."}}, {"delta": {"content": TEXT}}]
    one.ask("What is this?")
    page.click("details.thinking summary")
    look("answer")
    scripted.script = [
        {"event": "queue", "data": {"position": 3, "queued": 4, "active": 1, "up": 1}},
        {"until": "stop"},
    ]
    one.ask("And now?", wait=False)
    page.wait_for_selector(".place")
    look("waiting")
    page.keyboard.press("Escape")
    one.answered()
    scripted.status = {"status": "offline"}
    scripted.script = [{"refuse": 500, "body": {"error": {"message": "code 7"}}}]
    page.click("[data-action=retry]:visible")
    page.wait_for_selector(".error")
    page.wait_for_selector("#banner:not([hidden])")
    look("error")
    page.hover(".message.user >> nth=0")
    page.click("[data-action=edit] >> nth=0")
    look("edit")
    page.click("#clear")
    look("dialog")
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 320, "height": 640})
    look("phone")
    page.click("#menu")
    look("drawer")
    assert {state: lines for state, lines in found.items() if lines} == {}


def test_a_screen_reader_hears_sentences_not_words(scripted: Backend, tab: TabMaker) -> None:
    """The log is busy and silent while it grows; one polite line tells the progress."""
    scripted.script = [
        {"delta": {"content": "Some words."}},
        {"until": "go"},
        {"delta": {"content": " More."}},
    ]
    one = tab(scripted.url)
    page = one.open()
    one.ask("Hi", wait=False)
    page.wait_for_selector("#log[aria-busy=true] .markdown p")
    assert page.get_attribute("#log", "role") == "log"
    assert page.get_attribute("#log", "aria-live") == "off"
    assert page.get_attribute("#announce", "aria-live") == "polite"
    expect(page.locator("#announce")).to_have_text("Answering")
    scripted.release.set()
    one.answered()
    expect(page.locator("#announce")).to_have_text("Answer complete")
    assert page.get_attribute("#log", "aria-busy") == "false"


def test_nothing_moves_for_whoever_asked_for_stillness(scripted: Backend, tab: TabMaker) -> None:
    """prefers-reduced-motion ends every animation."""
    scripted.script = [{"until": "stop"}]
    one = tab(scripted.url, reduced_motion="reduce")
    page = one.open()
    one.ask("Hi", wait=False)
    page.wait_for_selector(".progress")
    assert page.evaluate("document.getAnimations().filter((one) => one.playState === 'running').length") == 0
