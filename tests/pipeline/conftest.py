"""The Hub of the pipeline's tests, and what shows a page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.conftest import browser, libraries, tab  # noqa: F401 - fixtures of the browser's tests
from tests.converter.conftest import distilled, sdist  # noqa: F401 - fixtures: the layout of the default model
from tests.pipeline.host import CONVERSION, REPOSITORY, demo_files
from tests.standins.hub.repository import Repository
from tests.standins.hub.serve import StandInHub


@pytest.fixture(scope="session")
def hub() -> Iterator[StandInHub]:
    """A stand-in Hub."""
    with StandInHub() as running:
        yield running


@pytest.fixture(scope="session")
def repository(hub: StandInHub) -> Repository:
    """The demo model on it, as a repository of somebody else's."""
    found = hub.add(Repository(REPOSITORY))
    found.commit(demo_files(), name=CONVERSION["provenance"]["commit"])
    return found
