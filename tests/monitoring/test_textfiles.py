"""The directory of the node exporter: made where it is missing; somebody else's stays as it is."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from tests.monitoring.conftest import run_tasks

ROLE = {"name": "private_ai.chatbot.private_model", "tasks_from": "textfiles.yml"}
OURS = "private-ai.prom"


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """Where the exporter is told to read; nothing is there."""
    return tmp_path / "lib/textfiles"


def play(there: Path, *states: str, check: bool = False) -> int:
    """Run this part of the role once for each state; how many tasks changed something."""
    tasks = [
        {
            "ansible.builtin.include_role": ROLE,
            "vars": {
                "private_model_monitoring_textfile_directory": str(there),
                "__private_model_textfiles_state": state,
            },
        }
        for state in states
    ]
    said = run_tasks(there.parents[1], tasks, *(["--check"] if check else []))
    (changed,) = re.findall(r"changed=(\d+)", said)
    return int(changed)


def test_it_is_made_for_another_user_to_read_and_removed_again(there: Path) -> None:
    assert play(there, "present", check=True) == 2 and not there.exists()
    before = os.umask(0o077)
    try:
        assert play(there, "present", "present") == 2, "directory and sign, then nothing"
    finally:
        os.umask(before)
    assert stat.S_IMODE(there.stat().st_mode) == 0o755 and there.stat().st_uid == os.geteuid()
    (there / OURS).write_text("private_ai_models_bytes 1\n")
    assert play(there, "absent", "absent") == 1 and not there.exists()


def test_what_others_keep_in_ours_stays(there: Path) -> None:
    play(there, "present")
    for name in (OURS, ".apt.prom"):
        (there / name).write_text("apt_upgrades_pending 1\n")
    assert play(there, "absent", "absent") == 1
    assert [one.name for one in there.iterdir()] == [".apt.prom"]


def test_one_that_somebody_made_stays_as_it_is(there: Path) -> None:
    there.mkdir(parents=True)
    there.chmod(0o2750)
    before = there.stat().st_mode
    (there / OURS).write_text("private_ai_models_bytes 1\n")
    assert play(there, "present", "absent", "absent") == 1
    assert there.stat().st_mode == before and not list(there.iterdir())
