"""Fixtures of the browser tests: a server with a page, and a Chromium that reports what it minds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright
from playwright.sync_api import Error as PlaywrightError

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VENDOR_TOOL = ROOT / "chatbot_app" / "tools" / "vendor.py"
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]

sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "standins"))

from page_backend import Backend  # noqa: E402
from stack import RealStack  # noqa: E402

# Collects what the Content-Security-Policy refused, before any script of the page runs.
WATCH = """
window.__violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.__violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`);
});
"""


def chromium() -> str:
    """Path of the Chromium to use: CHROMIUM, or the distribution's."""
    for candidate in (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(candidate) if candidate else None
        if path:
            return path
    pytest.fail("no Chromium found; install the package chromium or name one by CHROMIUM=/path")


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


@dataclass
class Tab:
    """One page and everything that it asked for or complained about."""

    page: Page
    url: str
    requests: list[Request] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self) -> Page:
        """Load the page and wait until it can be used."""
        self.page.goto(self.url)
        self.ready()
        return self.page

    def ready(self) -> None:
        """Wait until the page's script has started; says what it was waiting for otherwise."""
        try:
            self.page.wait_for_selector("#shell:not([hidden])")
        except PlaywrightError as error:
            failed = [f"{request.url}: {request.failure}" for request in self.requests if request.failure]
            pytest.fail(f"the page did not start; failed: {failed}; complaints: {self.complaints}; {error}")

    def reload(self) -> None:
        """Load the page again."""
        self.page.reload()
        self.ready()

    def ask(self, question: str, wait: bool = True) -> None:
        """Type a question, press Enter and wait for the end of its answer."""
        self.page.fill("#question", question)
        self.page.press("#question", "Enter")
        if wait:
            self.answered()

    def until(self, condition: str, seconds: float = 15) -> None:
        """Wait until a JavaScript expression is true; page.wait_for_function needs eval, which the page forbids."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(condition):
            if time.monotonic() > end:
                pytest.fail(f"waited {seconds} s for {condition}")
            self.page.wait_for_timeout(30)

    def answered(self) -> None:
        """Wait until the answer being written is complete."""
        self.page.wait_for_selector("#log[aria-busy=false] .message.model:last-child .actions")

    def answer(self) -> str:
        """Text of the last answer, without thinking and buttons."""
        return self.page.locator(".message.model:last-child .body > .markdown").inner_text()

    def complain(self, kind: str, text: str) -> None:
        """Keep what Chromium's console says, except for the network failures that tests provoke."""
        if kind == "error" and "Failed to load resource" not in text and "net::ERR_" not in text:
            self.complaints.append(text)


TabMaker = Callable[..., Tab]


@pytest.fixture
def tab(browser: Browser) -> Iterator[TabMaker]:
    """Make tabs; at the end of the test none may have complained or asked another server."""
    contexts: list[BrowserContext] = []
    tabs: list[Tab] = []

    def make(url: str, **options: Any) -> Tab:
        settings: dict[str, Any] = {"locale": "en-US", "color_scheme": "light", "viewport": {"width": 1200, "height": 800}}
        context = browser.new_context(**{**settings, **options})
        context.set_default_timeout(15_000)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        context.add_init_script(WATCH)
        contexts.append(context)
        one = Tab(context.new_page(), url)
        one.page.on("request", lambda request: one.requests.append(request))  # noqa: PLW0108  no builtins taken here
        one.page.on("console", lambda message: one.complain(message.type, message.text))
        one.page.on("pageerror", lambda error: one.complaints.append(f"uncaught: {error}"))
        tabs.append(one)
        return one

    yield make
    for one in tabs:
        if not one.page.is_closed():
            assert one.page.evaluate("window.__violations") == [], "the Content-Security-Policy refused something"
        assert one.complaints == []
        own = urlsplit(one.url).netloc
        foreign = [request.url for request in one.requests
                   if urlsplit(request.url).scheme in ("http", "https", "ws") and urlsplit(request.url).netloc != own]
        assert foreign == [], "the page asked another server"
    for context in contexts:
        context.close()


def post(backend: Backend, path: str, value: Any = None) -> None:
    """Use one of the stand-in's switches."""
    request = urllib.request.Request(backend.url + path, json.dumps(value).encode(), {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=5).close()
