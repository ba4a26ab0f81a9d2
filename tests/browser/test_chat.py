"""A visitor's ways through the page, on the real application with a paced model behind it."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.stack import RealStack
from tests.browser.tabs import Tab, TabMaker

# Notes the length of the answer at each change, so that a test can see it grow.
GROWTH = """
() => {
  window.__lengths = [];
  new MutationObserver(() => {
    const body = document.querySelector(".message.model:last-child .body");
    const length = body ? body.innerText.length : 0;
    if (window.__lengths.at(-1) !== length) window.__lengths.push(length);
  }).observe(document.getElementById("log"), { subtree: true, childList: true, characterData: true });
}
"""


def until(condition: Callable[[], Any], what: str, seconds: float = 10) -> None:
    """Wait for a condition; fails with `what` when it does not come."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"waited {seconds} s for {what}")
        time.sleep(0.05)


def started(tab: Tab) -> None:
    """Wait until the answer has some text."""
    tab.until(
        "[...document.querySelectorAll('.message.model:last-child .markdown')]"
        ".some((one) => one.innerText.length > 3)"
    )


def test_the_answer_is_seen_to_grow(slow_site: RealStack, tab: TabMaker) -> None:
    """Text arrives in many steps while the log is busy."""
    one = tab(slow_site.url)
    page = one.open()
    page.evaluate(GROWTH)
    one.ask("What is this?", wait=False)
    page.wait_for_selector("#log[aria-busy=true]")
    one.until(
        "window.__lengths.length >= 12 || document.querySelector('#log[aria-busy=false] .actions .numbers')"
    )
    lengths = page.evaluate("window.__lengths")
    assert len(lengths) >= 12, lengths
    assert sum(later > earlier for earlier, later in pairwise(lengths)) >= 8, lengths
    page.keyboard.press("Escape")
    one.answered()


def test_a_complete_answer_tells_its_numbers(site: RealStack, tab: TabMaker) -> None:
    """Tokens and rate stand after it, and a screen reader hears that it is complete."""
    one = tab(site.url)
    page = one.open()
    one.ask("What is this?")
    assert one.answer().strip()
    assert "tokens" in page.inner_text(".message.model:last-child .numbers")
    expect(page.locator("#announce")).to_have_text("Answer complete")
    assert page.inner_text(".message.user .bubble") == "What is this?"


@pytest.mark.parametrize("how", ["button", "escape"])
def test_stop_frees_the_model(slow_site: RealStack, tab: TabMaker, how: str) -> None:
    """Stopping keeps what came, and the model sees its stream cancelled."""
    before = slow_site.stats()
    one = tab(slow_site.url)
    page = one.open()
    one.ask("Tell me everything.", wait=False)
    started(one)
    if how == "button":
        page.click("#stop")
    else:
        page.keyboard.press("Escape")
    one.answered()
    expect(page.locator(".ending")).to_have_text("Stopped.")
    expect(page.locator("#send")).to_be_visible()
    expect(page.locator("#question")).to_be_focused()
    if before is not None:
        until(
            lambda: (slow_site.stats() or {})["cancelled"] == before["cancelled"] + 1,
            "the model to see the stream cancelled",
        )
        until(lambda: (slow_site.stats() or {})["open_streams"] == 0, "the model to be free")


def test_asking_again_replaces_the_answer(site: RealStack, tab: TabMaker) -> None:
    """One question, one answer, before and after; what was there is gone at once."""
    one = tab(site.url)
    page = one.open()
    one.ask("What is this?")
    page.evaluate("window.__old = document.querySelector('.message.model')")
    page.click("[data-action=retry]")
    one.until("!window.__old.isConnected")
    one.answered()
    assert page.locator(".message.model").count() == 1
    assert page.locator(".message.user").count() == 1
    assert page.locator(".ending").count() == 0


def test_copy_takes_the_message(site: RealStack, tab: TabMaker) -> None:
    """Both sides' messages get into the clipboard, and the page says so."""
    one = tab(site.url)
    page = one.open()
    one.ask("What is this?")
    page.hover(".message.user")
    page.click(".message.user [data-action=copy]")
    expect(page.locator(".message.user [data-action=copy]")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "What is this?"
    page.click(".message.model [data-action=copy]")
    expect(page.locator("#announce")).to_have_text("Copied")
    assert len(page.evaluate("navigator.clipboard.readText()")) > 10


def test_edit_replaces_all_that_followed(site: RealStack, tab: TabMaker) -> None:
    """An edited question cuts the conversation there; Escape leaves it as it was."""
    one = tab(site.url)
    page = one.open()
    one.ask("First question")
    one.ask("Second question")
    assert page.locator(".message").count() == 4
    page.hover(".message.user >> nth=0")
    page.click(".message.user [data-action=edit] >> nth=0")
    expect(page.locator(".edit-text")).to_be_focused()
    page.keyboard.press("Escape")
    assert page.locator(".message").count() == 4
    page.hover(".message.user >> nth=0")
    page.click(".message.user [data-action=edit] >> nth=0")
    page.fill(".edit-text", "Another question")
    page.click(".edit [type=submit]")
    one.answered()
    assert page.locator(".message").count() == 2
    assert page.inner_text(".message.user .bubble") == "Another question"
    expect(page.locator("#conversations .conversation")).to_have_text(["Another question"])


def test_history_outlives_a_reload_and_can_be_deleted(site: RealStack, tab: TabMaker) -> None:
    """Conversations stay in this browser until they are deleted, one or all."""
    one = tab(site.url)
    page = one.open()
    one.ask("Keep this one")
    answer = one.answer()
    one.reload()
    assert one.answer() == answer
    page.click("#new-side")
    one.ask("And this one")
    titles = page.locator("#conversations .conversation")
    expect(titles).to_have_text(["And this one", "Keep this one"])
    page.click("#conversations .conversation >> nth=1")
    expect(page.locator(".message.user .bubble")).to_have_text("Keep this one")
    page.hover("#conversations li >> nth=1")
    page.click("#conversations li >> nth=1 >> [data-delete]")
    expect(titles).to_have_text(["And this one"])
    expect(page.locator("#empty")).to_be_visible()
    page.click("#clear")
    page.click("#confirm [value=no]")
    expect(titles).to_have_count(1)
    page.click("#clear")
    page.click("#confirm-yes")
    expect(titles).to_have_count(0)
    one.reload()
    expect(titles).to_have_count(0)
    expect(page.locator("#empty")).to_be_visible()


def test_nothing_is_kept_when_switched_off(site: RealStack, tab: TabMaker) -> None:
    """The switch deletes what was kept and keeps nothing more, also after a reload."""
    one = tab(site.url)
    page = one.open()
    one.ask("Forget me")
    page.click("#keep")
    page.click("#confirm-yes")
    expect(page.locator("#note")).to_contain_text("Nothing is kept")
    one.ask("Me too")
    one.reload()
    expect(page.locator("#keep")).not_to_be_checked()
    expect(page.locator("#conversations .conversation")).to_have_count(0)
    databases = "indexedDB.databases().then((all) => all.map((one) => one.name))"
    kept = page.evaluate(
        "(name) => new Promise((done) => { const open = indexedDB.open(name); open.onsuccess = () => {"
        " const all = open.result.transaction('conversations').objectStore('conversations').count();"
        " all.onsuccess = () => { open.result.close(); done(all.result); }; }; })",
        page.evaluate(databases)[0],
    )
    assert kept == 0


def test_export_gives_files(site: RealStack, tab: TabMaker) -> None:
    """Markdown and JSON with question and answer."""
    one = tab(site.url)
    page = one.open()
    one.ask("Export me")
    for button, ending in (("#export-md", ".md"), ("#export-json", ".json")):
        with page.expect_download() as download:
            page.click(button)
        assert download.value.suggested_filename.endswith(ending)
        text = download.value.path().read_text(encoding="utf-8")
        assert "Export me" in text
        assert one.answer().split()[0] in text


def test_the_language_can_be_switched_and_is_remembered(site: RealStack, tab: TabMaker) -> None:
    """English first, Portuguese by one press, also after a reload, and without touching the conversation."""
    one = tab(site.url)
    page = one.open()
    assert page.evaluate("document.documentElement.lang") == "en"
    page.click("#language")
    expect(page.locator("#empty h2")).to_have_text("Pergunte ao modelo privado")
    expect(page.locator("#question")).to_have_attribute("placeholder", "Faça uma pergunta")
    one.ask("O que é isto?")
    expect(page.locator("#announce")).to_have_text("Resposta completa")
    one.reload()
    assert page.evaluate("document.documentElement.lang") == "pt-BR"
    assert page.inner_text(".message.user .bubble") == "O que é isto?"


def test_a_brazilian_browser_gets_portuguese(site: RealStack, tab: TabMaker) -> None:
    """By the browser's language, without a choice."""
    page = tab(site.url, locale="pt-BR").open()
    assert page.evaluate("document.documentElement.lang") == "pt-BR"
    expect(page.locator(".suggestion").first).to_have_text("O que é isto?")


def test_the_theme_follows_the_system_or_the_choice(site: RealStack, tab: TabMaker) -> None:
    """System, light, dark, and remembered before the first paint."""
    one = tab(site.url, color_scheme="dark")
    page = one.open()
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    dark = page.evaluate(ground)
    page.click("#theme")
    light = page.evaluate(ground)
    assert light != dark
    one.reload()
    assert page.evaluate(ground) == light
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate(ground) == dark
    page.click("#theme")
    page.click("#theme")
    page.route("**/app.js", lambda route: route.abort())
    page.reload()
    assert page.evaluate(ground) == light, "the choice must not wait for the modules"


@pytest.mark.parametrize("language", ["en-US", "pt-BR"])
def test_a_phone_needs_no_sideways_scrolling(site: RealStack, tab: TabMaker, language: str) -> None:
    """320 pixels: nothing sticks out, Enter makes a new line, the drawer opens and closes."""
    one = tab(
        site.url, locale=language, viewport={"width": 320, "height": 640}, has_touch=True, is_mobile=True
    )
    page = one.open()
    wide = "['html', '#scroll'].some((one) => document.querySelector(one).scrollWidth > 320)"
    assert not page.evaluate(wide)
    page.tap("#question")
    page.keyboard.type("one")
    page.keyboard.press("Enter")
    page.keyboard.type("two")
    assert page.input_value("#question") == "one\ntwo"
    page.tap("#send")
    one.answered()
    assert not page.evaluate(wide)
    page.tap("#menu")
    expect(page.locator("#side")).to_be_visible()
    assert not page.evaluate(wide)
    page.tap("#side-close")
    expect(page.locator("#side")).to_be_hidden()


def test_everything_works_by_keyboard(slow_site: RealStack, tab: TabMaker) -> None:
    """Ask, stop, edit and delete without a pointer; the focus is never lost."""
    one = tab(slow_site.url)
    page = one.open()
    expect(page.locator("#question")).to_be_focused()
    page.keyboard.type("First line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second line")
    assert page.input_value("#question") == "First line\nsecond line"
    page.keyboard.press("Enter")
    started(one)
    page.keyboard.press("Escape")
    one.answered()
    seen: list[str] = []
    while "edit" not in seen and len(seen) < 12:
        page.keyboard.press("Shift+Tab")
        seen.append(page.evaluate("document.activeElement.dataset.action || document.activeElement.tagName"))
    assert seen[0] == "retry", seen
    assert seen[-1] == "edit", seen
    assert "BODY" not in seen, seen
    page.keyboard.press("Enter")
    expect(page.locator(".edit-text")).to_be_focused()
    page.keyboard.type(" and more")
    page.keyboard.press("Control+Enter")
    started(one)
    page.keyboard.press("Escape")
    one.answered()
    assert page.inner_text(".message.user .bubble") == "First line\nsecond line and more"
    expect(page.locator("#question")).to_be_focused()
    page.focus("#conversations [data-delete]")
    page.keyboard.press("Enter")
    expect(page.locator("#conversations li")).to_have_count(0)
    expect(page.locator("#new-side")).to_be_focused()


def test_a_question_that_is_too_long_is_not_sent(site: RealStack, tab: TabMaker) -> None:
    """The page counts down to the server's limit and says how much is too much."""
    one = tab(site.url)
    page = one.open()
    limit = page.evaluate(
        "fetch('api/config').then((answer) => answer.json()).then((all) => all.limits.max_message_chars)"
    )
    page.fill("#question", "x" * (limit + 2))
    expect(page.locator("#count")).to_have_text("2 characters too many: shorten the question")
    page.press("#question", "Enter")
    assert page.locator(".message").count() == 0
    assert page.get_attribute("#question", "aria-invalid") == "true"


def test_the_operators_instructions_can_be_read(site: RealStack, tab: TabMaker) -> None:
    """What the operator tells the model is no secret to the visitor."""
    page = tab(site.url).open()
    prompt = page.evaluate(
        "fetch('api/config').then((answer) => answer.json()).then((all) => all.system_prompt)"
    )
    if prompt is None:
        pytest.skip("the server at CHATBOT_URL has no system prompt, or does not show it")
    page.click("#instructions summary")
    expect(page.locator("#instructions-text")).to_have_text(prompt)
