"""Commands of the how-tos as a reader types them: by full names, with the inventory of a how-to."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.docs.commands import ROOT, Command, blocks
from tests.docs.shown import PARTS, run_by
from tests.packaging.conftest import Place

(INVENTORY,) = blocks(ROOT / "docs/how-to/add-a-second-private-site.md", "yaml")


@pytest.mark.parametrize("command", run_by(PARTS), ids=str)
def test_it_reaches_the_hosts_and_parts_that_it_names(
    installed: Place, tmp_path: Path, command: Command
) -> None:
    (tmp_path / "inventory.yml").write_text(INVENTORY)
    program, *words = shlex.split(command.line)
    said = installed.run(program, *words, "--list-hosts", "--list-tasks", cwd=tmp_path)
    given = dict(zip(words, words[1:], strict=False))
    hosts = set(re.findall(r"^      ([\w-]+)$", said, flags=re.M)) - {"localhost"}
    wanted = {"private-1", "private-2", "chatbot"}
    assert hosts == {one for one in wanted if one.startswith(given.get("--limit", ""))}
    assert re.search(rf"TAGS: \[.*{given.get('--tags', '')}.*\]$", said, flags=re.M)
