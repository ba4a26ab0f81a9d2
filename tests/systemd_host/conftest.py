"""A host with systemd as process 1, fresh for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.systemd_host.machine import Machine, build_image, unified

#: A host with version 2 alone has no version 1 to give.
VERSIONS = [2] if unified() else [1, 2]


@pytest.fixture(params=VERSIONS, ids=lambda version: f"cgroup v{version}")
def machine(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Machine]:
    """The host, running; what it kept is removed."""
    build_image()
    one = Machine(tmp_path, request.param)
    try:
        one.start()
        yield one
    finally:
        one.stop()
        shutil.rmtree(tmp_path, ignore_errors=True)
