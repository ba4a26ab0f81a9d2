"""The how-tos name variables, playbooks, files and tags that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs/how-to").glob("*.md"))


def roles() -> dict[str, set[str]]:
    """The variables of each role."""
    found = {}
    for defaults in (ROOT / "roles").glob("*/defaults/main.yml"):
        found[defaults.parts[-3]] = set(yaml.safe_load(defaults.read_text()))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_is_named_exists(page: Path) -> None:
    text = page.read_text()
    for role, variables in roles().items():
        named = set(re.findall(rf"\b{role}_[a-z_0-9]+", text))
        assert named <= variables, f"{page.name}: {sorted(named - variables)}"
    for playbook in re.findall(r"ansible-playbook .*?private_ai\.chatbot\.(\w+)", text):
        assert (ROOT / f"playbooks/{playbook}.yml").exists(), playbook
    for module in re.findall(r"module\s+`private_ai\.chatbot\.(\w+)", text):
        assert (ROOT / f"plugins/modules/{module}.py").exists(), module
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_yaml_block_is_yaml(page: Path) -> None:
    for block in re.findall(r"^ *```yaml\n(.*?)^ *```", page.read_text(), flags=re.M | re.S):
        assert isinstance(yaml.safe_load(block), dict), block


def test_tags_exist() -> None:
    text = "".join(page.read_text() for page in PAGES)
    roles_tasks = "".join(path.read_text() for path in (ROOT / "roles").glob("*/tasks/main.yml"))
    for tag in set(re.findall(r"--tags (\w+)", text)):
        assert re.search(rf"tags: \[[^]]*\b{tag}\b", roles_tasks), tag
