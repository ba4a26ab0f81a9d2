"""Browser, Ingress, chatbot, network, gateway, model: a question through all, and a link that is cut."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.tabs import Tab
from tests.hybrid.stage import BIN, MINE, UNIT
from tests.playbook import run_playbook

#: Milliseconds; the page looks every few seconds, and a link needs some to come up.
PATIENCE = 60_000
ABSENT = "The private model cannot be reached now"


def router(verb: str) -> None:
    """Start or stop the router of the private site: the link is gone with it."""
    systemctl = BIN / "systemctl"
    command = [str(systemctl) if systemctl.exists() else "systemctl", verb, UNIT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


@pytest.fixture
def restored() -> Iterator[None]:
    """Whatever happens, the link is there afterwards."""
    yield
    router("start")


def test_a_browser_is_answered_by_the_private_model(visitor: Tab) -> None:
    expect(visitor.page.locator("#status-text")).to_have_text("Online", timeout=PATIENCE)
    visitor.ask("What is this?")
    assert len(visitor.answer().split()) > 5
    assert visitor.page.locator(".error").count() == 0


def test_a_link_that_is_cut_is_told_and_comes_back(visitor: Tab, restored: None) -> None:
    page = visitor.page
    router("stop")
    expect(page.locator("#banner")).to_contain_text(ABSENT, timeout=PATIENCE)
    visitor.ask("Is somebody there?")
    expect(page.locator(".error")).to_contain_text("its link may be down")
    router("start")
    expect(page.locator("#banner")).to_be_hidden(timeout=PATIENCE)
    page.click("[data-action=retry]")
    visitor.answered()
    expect(page.locator(".error")).to_have_count(0)
    assert len(visitor.answer().split()) > 5


def test_nothing_is_planned_for_what_is_as_it_should_be() -> None:
    said = run_playbook("-i", MINE, "site.yml", "--check", "--diff")
    assert "changed:" not in said and "+++" not in said, said[-4000:]
