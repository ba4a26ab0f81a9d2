# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Snapshots built where there are no links."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils import directories
from ansible_collections.private_ai.chatbot.plugins.module_utils.hub import place
from ansible_collections.private_ai.chatbot.plugins.module_utils.hub.snapshot import File, Selection, Snapshot


def test_links_where_there_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.write_text("x")

    def refuse(*_arguments: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    one = Snapshot("a/b", "main", "d" * 40, Selection(), (File("x", 1, "git:" + "a" * 40),))
    places = directories.Places(str(tmp_path / "model"))
    os.mkdir(places.staging)
    place.assemble(places, one._replace(sha256={"x": "0" * 64}), {one.files[0].identity: str(source)})
    assert Path(places.tree, "x").read_text() == "x" and source.stat().st_nlink == 1
