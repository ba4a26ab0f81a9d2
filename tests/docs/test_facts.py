"""Names in roles: what a task registers goes before what another one is given, and would hide it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = sorted((Path(__file__).resolve().parents[2] / "roles").iterdir())


def tasks(node: Any) -> Iterator[dict[str, Any]]:
    """Every task of a file, also in blocks."""
    for one in node if isinstance(node, list) else []:
        yield one
        for part in ("block", "rescue", "always"):
            yield from tasks(one.get(part))


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_no_variable_of_a_task_is_hidden_by_a_result(role: Path) -> None:
    registered: set[str | None] = set()
    given: set[str] = set()
    for file in role.glob("tasks/**/*.yml"):
        for task in tasks(yaml.safe_load(file.read_text(encoding="utf-8"))):
            registered.add(task.get("register"))
            given.update(task.get("vars") or {})
    assert not registered & given
