"""The fixture of the role's tests that need no cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.skupper.modules.host import Host


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A host without a site."""
    one = Host(tmp_path)
    yield one
    one.stop()
