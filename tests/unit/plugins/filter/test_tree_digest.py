# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One checksum tells whether any file of a tree is another one."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.private_ai.chatbot.plugins.filter.tree_digest import tree_digest


def test_tree_digest(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/one.yml").write_text("1")
    first = tree_digest([str(tmp_path)])
    (tmp_path / "a/__pycache__").mkdir()
    (tmp_path / "a/__pycache__/one.pyc").write_text("x")
    assert tree_digest([str(tmp_path)]) == first
    (tmp_path / "a/one.yml").write_text("2")
    second = tree_digest([str(tmp_path)])
    (tmp_path / "a/one.yml").rename(tmp_path / "a/two.yml")
    assert len({first, second, tree_digest([str(tmp_path)])}) == 3
    with pytest.raises(Exception, match="not a directory"):
        tree_digest([str(tmp_path / "none")])
