"""A browser tab as the tests use it, and which browser it is."""

from __future__ import annotations

import json
import os
import shutil
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page, Request

from tests.standins.page_backend import Backend

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str:
    """Path of the Chromium to use: CHROMIUM, or the distribution's."""
    for candidate in (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(candidate) if candidate else None
        if path:
            return path
    pytest.fail("no Chromium found; install the package chromium or name one by CHROMIUM=/path")


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
        if any("ERR_NETWORK_CHANGED" in (request.failure or "") for request in self.requests):
            # Chromium drops all requests when an interface comes or goes, such as a container's beside us.
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
        """Wait until an expression is true; page.wait_for_function needs eval, which the page forbids."""
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


def post(backend: Backend, path: str, value: Any = None) -> None:
    """Use one of the stand-in's switches."""
    request = urllib.request.Request(
        backend.url + path, json.dumps(value).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=5).close()
