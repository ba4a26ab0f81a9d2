"""What the tutorial of both sides says is what the scenario of both sides runs, in its order."""

from __future__ import annotations

from typing import Any

import yaml

from tests.docs.commands import ROOT, commands, parts
from tests.hybrid.walkthrough import PLAN, SEEN, TUTORIAL, adapted

SCENARIO = ROOT / "molecule/hybrid"


def load(name: str) -> Any:
    """A file of the scenario, or of what all scenarios share."""
    return yaml.safe_load((SCENARIO / name).read_text(encoding="utf-8"))


def test_the_scenario_runs_every_command_of_the_tutorial_in_its_order() -> None:
    shared, own = load("../../.config/molecule/config.yml"), load("molecule.yml")
    sequence = {**shared["scenario"], **own.get("scenario", {})}["test_sequence"]
    walked = [
        part
        for beat in sequence
        if (SCENARIO / f"{beat}.yml").is_file()
        for play in load(f"{beat}.yml")
        if play.get("ansible.builtin.import_playbook") == "walk.yml"
        for part in play["vars"]["walk_parts"]
    ]
    said = parts(TUTORIAL)
    assert walked == list(said), "each part once, from the first to the last"
    assert [one for part in walked for one in said[part]] == commands(TUTORIAL), "no command is elsewhere"


def test_what_a_reader_sees_is_looked_for() -> None:
    for beginning in SEEN:
        said = beginning.removesuffix(PLAN)
        assert [one for one in commands(TUTORIAL) if one.line.startswith(said)], beginning
    own = [one.line for one in commands(TUTORIAL) if adapted(one.line) == one.line]
    assert not own, f"these would run on another inventory than the stage's: {own}"
