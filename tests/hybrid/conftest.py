"""The hybrid run as a visitor and its owner see it; molecule/hybrid has brought it about."""

from __future__ import annotations

import pytest

from tests.browser.conftest import browser, tab
from tests.browser.tabs import Tab, TabMaker
from tests.hybrid.stage import HOST

__all__ = ["browser", "tab"]


@pytest.fixture
def visitor(tab: TabMaker) -> Tab:
    """Somebody who has opened the page; its certificate signs itself."""
    one = tab(f"https://{HOST}/", ignore_https_errors=True)
    one.open()
    return one
