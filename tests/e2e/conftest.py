"""Fixtures of the checks of a running quickstart."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.quickstart_host import DATA_DIR, GATEWAY, PAGE, podman


@pytest.fixture(scope="session")
def key() -> str:
    """The key that the role generated."""
    return (DATA_DIR / "api-key").read_text().strip()


@pytest.fixture
def page() -> Iterator[httpx.Client]:
    """A visitor's browser, as far as HTTP goes."""
    with httpx.Client(base_url=PAGE, timeout=120, trust_env=False) as client:
        yield client


@pytest.fixture
def gateway() -> Iterator[httpx.Client]:
    """A caller of the gateway without a key."""
    with httpx.Client(base_url=GATEWAY, timeout=120, trust_env=False) as client:
        yield client


@pytest.fixture
def throwaway() -> Iterator[list[tuple[str, str]]]:
    """Podman objects, as (kind, name), which are removed after the test."""
    made: list[tuple[str, str]] = []
    yield made
    for kind, name in reversed(made):
        # Podman 4 removes secrets without this option only.
        podman(kind, "rm", *([] if kind == "secret" else ["-f"]), name, check=False)
