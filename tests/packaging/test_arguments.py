"""A wrong value of a playbook is refused in words that say which and why, before any host is touched."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from tests.playbook import ROOT, run_playbook

ARGUMENTS = yaml.safe_load((ROOT / "playbooks/vars/arguments.yml").read_text(encoding="utf-8"))
#: By playbook what is given, and what is said of it.
WRONG = {
    "site": (
        "private_model_source=floppy",
        "value of private_model_source must be one of: demo, gguf, directory, huggingface, got: floppy",
    ),
    "model": (
        "model_step=fly",
        "value of model_step must be one of: list, fetch, train, convert, evaluate, promote, rollback, got: ",
    ),
    "rotate": (
        "skupper_site_wait_timeout=soon",
        "argument 'skupper_site_wait_timeout' is of type str and we were unable to convert to int",
    ),
    "status": ("status_format=paper", "value of status_format must be one of: screen, json, got: paper"),
    "support_bundle": (
        "support_bundle_log_lines=all",
        "argument 'support_bundle_log_lines' is of type str and we were unable to convert to int",
    ),
    "verify": (
        "verify_certificate_days=month",
        "argument 'verify_certificate_days' is of type str and we were unable to convert to int",
    ),
    "awx_setup": ("awx_setup_image=image", "missing required arguments: awx_setup_project_url"),
    "teardown": (
        "private_ai_confirm=perhaps",
        "argument 'private_ai_confirm' is of type str and we were unable to convert to bool",
    ),
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each playbook says to its wrong value; nobody answers at the only host."""
    inventory = tmp_path_factory.mktemp("arguments") / "hosts.yml"
    away = {"hosts": {"far": {"ansible_host": "127.0.0.1", "ansible_port": 1}}}
    inventory.write_text(yaml.safe_dump({"private": away, "public": away}))

    def ask(name: str) -> str:
        playbook = Path("playbooks") / f"{name}.yml"
        try:
            return run_playbook("-i", inventory, playbook, "-e", WRONG[name][0], expect=2)
        except AssertionError as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(WRONG, pool.map(ask, WRONG), strict=True))


@pytest.mark.parametrize("name", sorted(ARGUMENTS["playbook_arguments"]))
def test_a_wrong_value_is_refused_before_a_host_is_touched(said: dict[str, str], name: str) -> None:
    words = " ".join(said[name].split())
    assert WRONG[name][1] in words
    assert "unreachable=1" not in words and "UNREACHABLE" not in words
    assert "far" not in words.partition("PLAY RECAP")[2], "a play came to the host"
