"""What the tutorial of both sides says is what the scenario of both sides runs, playbook by playbook."""

from __future__ import annotations

import yaml

from tests.docs.commands import ROOT, commands

SCENARIO = ROOT / "molecule/hybrid"
#: Each step of the scenario by the command of the tutorial, without its inventory.
STEPS = {
    ("site.yml",): "converge",
    ("playbooks/verify.yml", "-e", "verify_test_pod=true"): "verify",
    ("playbooks/teardown.yml",): "destroy",
}


def test_the_scenario_runs_the_tutorials_commands() -> None:
    said = [
        tuple(words[3:])
        for command in commands(ROOT / "docs/tutorial/hybrid.md")
        for words in command.parts("ansible-playbook")
    ]
    assert [words for words in said if words in STEPS] == list(STEPS), "all of them, in their order"
    for words, step in STEPS.items():
        first = yaml.safe_load((SCENARIO / f"{step}.yml").read_text(encoding="utf-8"))[0]
        assert first["ansible.builtin.import_playbook"] == f"../../{words[0]}"
        given = {f"{name}={str(value).lower()}" for name, value in first.get("vars", {}).items()}
        # A scenario has nobody who types yes.
        assert given - {"private_ai_confirm=true"} == {word for word in words if "=" in word}
    shared = yaml.safe_load((ROOT / ".config/molecule/config.yml").read_text(encoding="utf-8"))
    own = yaml.safe_load((SCENARIO / "molecule.yml").read_text(encoding="utf-8"))
    sequence = {**shared["scenario"], **own.get("scenario", {})}["test_sequence"]
    assert [step for step in sequence if step in STEPS.values()] == list(STEPS.values())
