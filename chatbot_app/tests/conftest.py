from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from support import FakeGateway, Running, running


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    async with FakeGateway().running() as fake:
        yield fake


@pytest.fixture
async def app(gateway: FakeGateway) -> AsyncIterator[Running]:
    async with running(gateway) as started:
        yield started
