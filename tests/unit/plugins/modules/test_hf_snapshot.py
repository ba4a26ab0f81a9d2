# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of the snapshot, its token, and what the result shows. The rest is in tests/hub, with a Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.private_ai.chatbot.plugins.module_utils.hub.snapshot import File, Selection, Snapshot
from ansible_collections.private_ai.chatbot.plugins.modules import hf_snapshot

DEFAULTS: dict[str, Any] = {name: one.get("default") for name, one in hf_snapshot.ARGUMENTS.items()}


def options(**given: Any) -> dict[str, Any]:
    return {**DEFAULTS, "repository": "acme/model", **given}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"repository": "gpt2"},
        {"repository": "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B"},
        {"revision": "refs/pr/1"},
        {"expected": {"a": "0" * 64}},
        {"lock_timeout": 0, "retries": 0},
    ],
)
def test_options(given: dict[str, Any]) -> None:
    hf_snapshot.check_options(options(**given))


@pytest.mark.parametrize(
    "given, message",
    [
        ({"repository": "../x"}, "repository is '../x'; owner/name is expected"),
        ({"repository": "a/b/c"}, "owner/name"),
        ({"repository": "a b/c"}, "owner/name"),
        ({"revision": ""}, "revision is ''"),
        ({"revision": "a/../b"}, "revision is 'a/../b'"),
        ({"revision": "a?b"}, "revision is"),
        ({"expected": {"a": 1}}, "expected has 1 for a; 64 hexadecimal digits"),
        ({"timeout": 0}, "timeout is 0; 1 to 3600 is expected"),
        ({"max_workers": 17}, "max_workers is 17; 1 to 16 is expected"),
        ({"retries": -1}, "retries is -1; 0 to 100 is expected"),
    ],
)
def test_options_that_cannot_work(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        hf_snapshot.check_options(options(**given))


def test_token(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("hf_abc\n")
    assert hf_snapshot.read_token(options()) is None
    assert hf_snapshot.read_token(options(token="hf_abc")) == "hf_abc"
    assert hf_snapshot.read_token(options(token_file=str(secret))) == "hf_abc"
    secret.write_text("hf_abc\nand more of it")
    with pytest.raises(
        ValueError, match="the token from token_file has 21 characters and is none"
    ) as refused:
        hf_snapshot.read_token(options(token_file=str(secret)))
    assert "hf_abc" not in str(refused.value)
    secret.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="it holds more than a token"):
        hf_snapshot.read_token(options(token_file=str(secret)))
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        hf_snapshot.read_token(options(token_file=str(tmp_path / "none")))


def test_secrets() -> None:
    assert hf_snapshot.secrets_of("hf_abc", "http://me:word@proxy:3128") == ["hf_abc", "word"]
    assert hf_snapshot.secrets_of(None, "http://proxy:3128") == []
    assert hf_snapshot.ARGUMENTS["token"]["no_log"] is True


def test_shown() -> None:
    files = (File("a", 2, "git:" + "a" * 40), File("b", 3, "sha256:" + "b" * 64))
    one = Snapshot("acme/model", "main", "d" * 40, Selection(), files, ("c.bin",), {"b": "b" * 64})
    result = hf_snapshot.shown(one, "/srv/model")
    assert result["size"] == 5 and result["left_out"] == ["c.bin"] and result["commit"] == "d" * 40
    assert result["files"] == [
        {"name": "a", "size": 2, "sha256": None},
        {"name": "b", "size": 3, "sha256": "b" * 64},
    ]


def test_documented() -> None:
    documented = yaml.safe_load(hf_snapshot.DOCUMENTATION)["options"]
    assert set(documented) == set(hf_snapshot.ARGUMENTS)
    for name, one in hf_snapshot.ARGUMENTS.items():
        assert documented[name].get("default") == one.get("default"), name
