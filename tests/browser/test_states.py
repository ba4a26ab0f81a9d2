"""States of the page that only a scripted server can bring at will, below a sub-path."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.tabs import TabMaker, post
from tests.standins.page_backend import Backend


def says(text: str, kind: str = "content") -> list[dict[str, Any]]:
    """Return steps that write `text` word by word."""
    return [{"delta": {kind: word}} for word in re.findall(r"\s*\S+\s*", text)]


def test_thinking_is_open_while_it_runs_and_folded_after(scripted: Backend, tab: TabMaker) -> None:
    """And its duration is told."""
    scripted.script = [*says("I should greet.", "reasoning_content"), {"until": "go"}, *says("Hello.")]
    one = tab(scripted.url)
    page = one.open()
    one.ask("Hi", wait=False)
    thinking = page.locator("details.thinking")
    expect(thinking).to_have_attribute("open", "")
    expect(thinking).to_contain_text("I should greet.")
    expect(thinking.locator("summary")).to_contain_text("Thinking")
    post(scripted, "_release")
    one.answered()
    assert thinking.get_attribute("open") is None
    expect(thinking.locator("summary")).to_contain_text(re.compile(r"Thought for \d+ seconds?"))
    assert one.answer() == "Hello."
    one.ask("Again")
    assert scripted.questions[-1][1] == {"role": "assistant", "content": "Hello."}, (
        "thinking must not be sent back"
    )


def test_text_that_proves_to_be_thinking_is_moved(scripted: Backend, tab: TabMaker) -> None:
    """An answer that holds only </think>: the server says so when it sees it."""
    scripted.script = [
        *says("I wonder."),
        {"until": "go"},
        {"event": "reclassify", "data": {"to": "reasoning"}},
        *says("Sure."),
    ]
    one = tab(scripted.url)
    page = one.open()
    one.ask("Hi", wait=False)
    expect(page.locator(".body > .markdown")).to_have_text("I wonder.")
    post(scripted, "_release")
    one.answered()
    assert one.answer() == "Sure."
    page.click("details.thinking summary")
    expect(page.locator(".thinking-text")).to_have_text("I wonder.")
    one.reload()
    assert one.answer() == "Sure."


def test_the_place_in_the_queue_is_told(scripted: Backend, tab: TabMaker) -> None:
    """In the log and to screen readers, in both languages, until it is one's turn."""

    def place(position: int) -> dict[str, Any]:
        return {"event": "queue", "data": {"position": position, "queued": 5, "active": 1, "up": 1}}

    for language, third, following in (
        ("en-US", "You are 3rd in line", "You are next in line"),
        ("pt-BR", "Você é o 3º da fila", "Você é o próximo da fila"),
    ):
        scripted.script = [
            place(3),
            {"until": "go"},
            place(1),
            {"sleep": 0.4},
            place(0),
            {"sleep": 0.4},
            *says("Done."),
        ]
        scripted.release.clear()
        one = tab(scripted.url, locale=language)
        page = one.open()
        one.ask("Hi", wait=False)
        expect(page.locator(".place")).to_have_text(third)
        expect(page.locator("#announce")).to_have_text(third)
        post(scripted, "_release")
        expect(page.locator(".place")).to_have_text(following)
        one.answered()
        expect(page.locator(".progress")).to_be_hidden()


def test_the_servers_own_retry_counts_down(scripted: Backend, tab: TabMaker) -> None:
    """The visitor sees why and for how long nothing happens."""
    scripted.script = [
        {"event": "retry", "data": {"after": 30, "reason": "full"}},
        {"until": "go"},
        *says("Done."),
    ]
    one = tab(scripted.url)
    page = one.open()
    one.ask("Hi", wait=False)
    expect(page.locator(".progress")).to_contain_text("The queue is full: asking again in 30 seconds")
    expect(page.locator(".progress")).to_contain_text("asking again in 28 seconds")
    post(scripted, "_release")
    one.answered()
    assert one.answer() == "Done."


def refusal(status: int, code: str, after: int | None = None) -> list[dict[str, Any]]:
    """Return a script that refuses the way the server does."""
    headers = {} if after is None else {"Retry-After": str(after)}
    return [
        {
            "refuse": status,
            "headers": headers,
            "body": {"error": {"message": "no", "type": "x", "code": code}},
        }
    ]


def test_too_many_questions_are_asked_again_in_time(scripted: Backend, tab: TabMaker) -> None:
    """A 429 with Retry-After counts down; the button skips the wait; then the answer comes."""
    scripted.script = refusal(429, "rate_limit_exceeded", 60)
    one = tab(scripted.url)
    page = one.open()
    one.ask("Hi", wait=False)
    expect(page.locator(".progress")).to_contain_text(
        "You asked too often in a short time: asking again in 60 seconds"
    )
    scripted.script = says("Now.")
    page.click(".progress button")
    one.answered()
    assert one.answer() == "Now."


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (refusal(400, "context_length_exceeded"), "too long for the model. Start a new chat"),
        (refusal(413, "message_too_long"), "Shorten it with Edit"),
        (refusal(502, "model_unreachable"), "The private model cannot be reached now"),
        ([{"refuse": 500, "body": {"error": {"message": "code 7"}}}], "The server says: code 7"),
        (
            [{"event": "error", "data": {"error": {"message": "m", "type": "t", "code": "timeout"}}}],
            "The model took too long",
        ),
        ([*says("Half an"), {"drop": True}], "The connection ended before the answer did"),
    ],
)
def test_errors_say_what_to_do(
    scripted: Backend, tab: TabMaker, script: list[dict[str, Any]], words: str
) -> None:
    """Each failure in words, and asking again heals it."""
    scripted.script = script
    one = tab(scripted.url)
    page = one.open()
    one.ask("Hi")
    expect(page.locator(".error")).to_contain_text(words)
    expect(page.locator("#announce")).to_have_text("The answer failed")
    scripted.script = says("Fine.")
    page.click("[data-action=retry]")
    expect(page.locator(".body > .markdown")).to_have_text("Fine.")
    expect(page.locator(".error")).to_have_count(0)


def test_a_failed_question_names_its_request(scripted: Backend, tab: TabMaker) -> None:
    """What a visitor can tell the operator, who finds the question by it in the logs."""
    scripted.script = [{"refuse": 502, "headers": {"X-Request-Id": "0123-abc"}, "body": {"error": {}}}]
    one = tab(scripted.url)
    page = one.open()
    one.ask("Hi")
    expect(page.locator(".error")).to_contain_text("For the operator: request 0123-abc")


def test_a_device_without_network_is_told_so(scripted: Backend, tab: TabMaker) -> None:
    """The banner comes and goes with the network, and a question meanwhile fails in plain words."""
    one = tab(scripted.url)
    page = one.open()
    page.context.set_offline(True)
    expect(page.locator("#banner")).to_contain_text("Your device is offline")
    one.ask("Hi")
    expect(page.locator(".error")).to_contain_text("Connect to the network, then try again")
    page.context.set_offline(False)
    expect(page.locator("#banner")).to_be_hidden()


def test_an_absent_model_is_told(scripted: Backend, tab: TabMaker) -> None:
    """The page loads without the model, says so, and notices its return by itself."""
    scripted.status = {"status": "offline", "queued": None, "active": None, "up": 0, "limit": None}
    one = tab(scripted.url)
    page = one.open()
    expect(page.locator("#banner")).to_contain_text("The private model cannot be reached now")
    expect(page.locator("#status-text")).to_have_text("Model offline")
    scripted.status = {"status": "busy", "queued": 4, "active": 1, "up": 1, "limit": 20}
    expect(page.locator("#status-text")).to_have_text("Busy · 4 waiting", timeout=9_000)
    expect(page.locator("#banner")).to_be_hidden()


def test_code_and_tables_are_drawn_and_copied(scripted: Backend, tab: TabMaker) -> None:
    """Blocks are coloured, can be copied without their head, and never widen the page."""
    code = "def double(number):\n    return number * 2\n"
    long = "x" * 400
    text = f"Use **this**:\n\n```python\n{code}```\n\n| a | b |\n|--:|---|\n| {long} | 2 |\n\nand `{long}` or https://example.com/{long}."
    scripted.script = [{"delta": {"content": text[i : i + 7]}} for i in range(0, len(text), 7)]
    one = tab(scripted.url, viewport={"width": 320, "height": 640})
    page = one.open()
    one.ask("Hi")
    assert page.locator(".markdown strong").inner_text() == "this"
    assert page.locator(".hljs-keyword").first.inner_text() == "def"
    assert "align-right" in (page.locator("th").first.get_attribute("class") or "")
    page.click("[data-action=copy-code]")
    expect(page.locator("[data-action=copy-code]")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == code
    assert not page.evaluate("document.querySelector('#scroll').scrollWidth > 320")


def test_settled_blocks_are_not_drawn_again(scripted: Backend, tab: TabMaker) -> None:
    """While a long answer grows, its first paragraph stays the same element."""
    scripted.script = [
        *says("First paragraph.\n\nSecond paragraph.\n\n"),
        {"sleep": 0.3},
        *says("- a\n- b\n\nThird."),
        {"until": "go"},
        *says(" More."),
        {"sleep": 0.5},
    ]
    one = tab(scripted.url)
    page = one.open()
    one.ask("Hi", wait=False)
    expect(page.locator(".block", has_text="Third.")).to_be_visible()
    page.evaluate("""() => {
      const first = document.querySelector(".block p");
      window.__kept = [];
      new MutationObserver(() => {
        const busy = document.querySelector("#log[aria-busy=true]");
        if (busy?.innerText.includes("More.")) window.__kept.push(first.isConnected && first.textContent);
      }).observe(document.querySelector(".message.model .body"), { subtree: true, childList: true });
    }""")
    post(scripted, "_release")
    one.answered()
    assert page.evaluate("window.__kept[0]") == "First paragraph."
    # At the end everything is drawn once more as one text; what stood must look the same.
    assert page.locator(".body > .markdown p").all_inner_texts() == [
        "First paragraph.",
        "Second paragraph.",
        "Third. More.",
    ]


def test_only_the_newest_messages_are_sent_beyond_the_limit(scripted: Backend, tab: TabMaker) -> None:
    """The stand-in takes 40 messages; a longer conversation goes on without its oldest ones."""
    scripted.script = says("Yes.")
    one = tab(scripted.url)
    page = one.open()
    for number in range(21):
        page.fill("#question", f"Question {number}")
        page.press("#question", "Enter")
        expect(page.locator(".message.model .actions")).to_have_count(number + 1)
    sent = scripted.questions[-1]
    assert len(sent) <= 40
    assert sent[0]["role"] == "user"
    assert sent[-1] == {"role": "user", "content": "Question 20"}
    expect(page.locator(".ending")).to_contain_text("oldest messages")


def test_a_part_that_does_not_arrive_is_told(scripted: Backend, tab: TabMaker) -> None:
    """A lost script leaves words and a way on, not an empty page."""
    one = tab(scripted.url)
    one.page.route("**/vendor/markdown-it.js", lambda route: route.abort())
    one.page.goto(one.url)
    expect(one.page.locator("#not-loaded")).to_contain_text("Load it again")
    one.page.unroute("**/vendor/markdown-it.js")
    one.page.click("#not-loaded a >> nth=0")
    expect(one.page.locator("#question")).to_be_visible()
