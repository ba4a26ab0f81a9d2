"""Fixtures of the browser tests: a server with a page, and a Chromium that reports what it minds."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.browser.stack import RealStack
from tests.browser.tabs import FLAGS, Tab, TabMaker, chromium
from tests.standins.page_backend import Backend

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VENDOR_TOOL = ROOT / "chatbot_app" / "tools" / "vendor.py"

# Collects what the Content-Security-Policy refused, before any script of the page runs.
WATCH = """
window.__violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.__violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`);
});
"""


@pytest.fixture(scope="session", autouse=True)
def libraries() -> None:
    """The page's libraries and axe-core, verified; fetched when they are not there yet."""
    for arguments in ([], ["--set", "browser-tests", "--target", str(HERE / "vendor")]):
        subprocess.run([sys.executable, str(VENDOR_TOOL), *arguments], check=True, timeout=180)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for the session; every test gets a context, and so a profile, of its own."""
    with sync_playwright() as playwright:
        instance = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield instance
        instance.close()


@pytest.fixture(scope="session")
def site() -> Iterator[RealStack]:
    """The real application before a quick model, or what CHATBOT_URL names."""
    with RealStack.start(rate=200, tokens=60) as stack:
        yield stack


@pytest.fixture(scope="session")
def slow_site() -> Iterator[RealStack]:
    """The same before a model as slow as real ones: an answer takes a minute unless it is stopped."""
    with RealStack.start(rate=20, tokens=1200) as stack:
        yield stack


@pytest.fixture
def scripted() -> Iterator[Backend]:
    """A stand-in server below a sub-path, for states that cannot be had from the real one at will."""
    backend = Backend(prefix="/some/path")
    threading.Thread(target=backend.serve_forever, args=(0.05,), daemon=True).start()
    yield backend
    backend.release.set()
    backend.shutdown()
    backend.server_close()


@pytest.fixture
def tab(browser: Browser) -> Iterator[TabMaker]:
    """Make tabs; at the end of the test none may have complained or asked another server."""
    contexts: list[BrowserContext] = []
    tabs: list[Tab] = []

    def make(url: str, **options: Any) -> Tab:
        settings: dict[str, Any] = {
            "locale": "en-US",
            "color_scheme": "light",
            "viewport": {"width": 1200, "height": 800},
        }
        context = browser.new_context(**{**settings, **options})
        context.set_default_timeout(15_000)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        context.add_init_script(WATCH)
        contexts.append(context)
        one = Tab(context.new_page(), url)
        one.page.on("request", lambda request: one.requests.append(request))
        one.page.on("console", lambda message: one.complain(message.type, message.text))
        one.page.on("pageerror", lambda error: one.complaints.append(f"uncaught: {error}"))
        tabs.append(one)
        return one

    yield make
    for one in tabs:
        if not one.page.is_closed():
            assert one.page.evaluate("window.__violations") == [], (
                "the Content-Security-Policy refused something"
            )
        assert one.complaints == []
        own = urlsplit(one.url).netloc
        foreign = [
            request.url
            for request in one.requests
            if urlsplit(request.url).scheme in ("http", "https", "ws") and urlsplit(request.url).netloc != own
        ]
        assert foreign == [], "the page asked another server"
    for context in contexts:
        context.close()
