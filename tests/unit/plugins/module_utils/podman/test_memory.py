# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the preflight remembers, and when it asks again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman import memory

FACTS = {"version": "4.3.1", "graph_root": "/", "graph_root_free_mb": 1, "runtime": "runc"}


def test_the_same_circumstances_are_answered_from_memory(tmp_path: Path) -> None:
    cache = str(tmp_path / "new" / "preflight.json")
    assert memory.recall(cache, "key") is None
    memory.keep(cache, "key", FACTS)
    found = memory.recall(cache, "key")
    assert found is not None
    assert found["runtime"] == "runc"
    assert found["graph_root_free_mb"] > 1, "the free space is measured anew"
    assert memory.recall(cache, "other key") is None


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"circumstances": "key"}', '{"circumstances": "key", "podman": {}}']
)
def test_a_damaged_memory_is_none(tmp_path: Path, content: str) -> None:
    cache = tmp_path / "preflight.json"
    cache.write_text(content)
    assert memory.recall(str(cache), "key") is None


def test_another_podman_is_another_circumstance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    podman = tmp_path / "podman"
    podman.write_text("one")
    first = memory.circumstances(str(podman), ["runc"])
    assert memory.circumstances(str(podman), ["runc"]) == first
    podman.write_text("another one")
    second = memory.circumstances(str(podman), ["runc"])
    monkeypatch.setenv("CONTAINERS_CONF", "/etc/other.conf")
    assert len({first, second, memory.circumstances(str(podman), ["runc"])}) == 3


def test_what_is_kept_is_json_with_its_circumstances(tmp_path: Path) -> None:
    cache = tmp_path / "preflight.json"
    memory.keep(str(cache), "key", FACTS)
    assert json.loads(cache.read_text()) == {"circumstances": "key", "podman": FACTS}
