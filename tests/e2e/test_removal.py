"""What `make down` would do, asked beforehand."""

from __future__ import annotations

import re

from tests.e2e.quickstart_host import containers
from tests.playbook import run_playbook


def test_a_removal_that_is_only_foretold_removes_nothing() -> None:
    before = containers()
    said = run_playbook("-i", "inventories/quickstart", "playbooks/teardown.yml", "--check")
    assert re.search(r"changed=[1-9]", said) and containers() == before, said[-3000:]
