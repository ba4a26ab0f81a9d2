# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inputs, metadata, needs and the container of a conversion."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.gguf_model import manifest, plan
from ansible_collections.private_ai.chatbot.plugins.module_utils.gguf_model.source import Weights
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.tool import tool_argv

FILES = {"config.json": {"size": 2, "sha256": "c" * 64}, "a.safetensors": {"size": 9, "sha256": "a" * 64}}
SETTINGS = {"name": "Mine", "outtype": "f16", "quantization": "Q4_K_M"}
OPTIONS = {
    "image": "localhost/converter:1",
    "ulimits": {"nofile": "1024:1024"},
    "memory_limit": "4g",
    "threads": 2,
    "keep_intermediate": False,
}


def wanted(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "files": FILES,
        "card": "",
        "settings": SETTINGS,
        "provenance": {"repository": "owner/some model"},
        "converter": "llama-cpp-python 1",
    }
    return plan.inputs(**{**given, **changes})


@pytest.mark.parametrize(
    "change",
    [
        {"card": "1" * 64},
        {"settings": {**SETTINGS, "name": "Other"}},
        {"settings": {**SETTINGS, "outtype": "bf16"}},
        {"settings": {**SETTINGS, "quantization": "none"}},
        {"provenance": {"repository": "owner/some model", "commit": "1"}},
        {"converter": "llama-cpp-python 2"},
        {"files": {**FILES, "config.json": {"size": 2, "sha256": "d" * 64}}},
        {"files": {"config.json": FILES["config.json"]}},
    ],
)
def test_every_input_decides(change: dict[str, Any]) -> None:
    made = manifest.desired(wanted(), False)
    assert not manifest.must_be_made(made, manifest.desired(wanted(), False))
    assert manifest.must_be_made(made, manifest.desired(wanted(**change), False))


def test_what_does_not_need_another_file() -> None:
    after = manifest.desired(wanted(), False)
    assert not manifest.must_be_made({**after, "mode": "0600", "intermediate": True}, after)
    assert manifest.must_be_made({**after, "content": manifest.OTHER}, after)
    assert manifest.must_be_made({}, after)
    kept = manifest.desired(wanted(), True)
    assert kept["intermediate"] and manifest.must_be_made(after, kept)
    assert not manifest.desired(wanted(settings={**SETTINGS, "quantization": "none"}), True)["intermediate"]


def test_metadata_can_be_repeated_by_hand() -> None:
    lines = f"{'a' * 64}  a.safetensors\n{'c' * 64}  config.json\n"
    assert plan.metadata(wanted()) == {
        "private_ai.source.repository": "owner/some model",
        "private_ai.source.sha256": hashlib.sha256(lines.encode()).hexdigest(),
        "private_ai.conversion.converter": "llama-cpp-python 1",
        "private_ai.conversion.outtype": "f16",
        "private_ai.conversion.quantization": "Q4_K_M",
    }


def test_the_container_is_closed_and_sees_only_its_files() -> None:
    files = {"config.json": "/srv/m/config.json", "a.safetensors": "/blobs/1"}
    args = tool_argv(plan.tool_params("make", wanted(), files, OPTIONS, "name", "/srv/.work/output"), False)
    for option in "--network=none --ulimit=nofile=1024:1024 --memory=4g --name=name".split():
        assert option in args
    mounts = [one for one in args if one.startswith("--mount")]
    assert mounts == [
        "--mount=type=bind,source=/blobs/1,target=/source/some-model/a.safetensors,readonly=true",
        "--mount=type=bind,source=/srv/m/config.json,target=/source/some-model/config.json,readonly=true",
        "--mount=type=bind,source=/srv/.work/output,target=/work",
    ]
    assert args[-3:-1] == ["localhost/converter:1", "make"]
    given = json.loads(args[-1])
    assert given["directory"] == "/source/some-model" and given["name"] == "Mine" and given["threads"] == 2
    looked = plan.tool_params("check", wanted(), files, OPTIONS, "name", None)
    assert not any(mount["target"] == "/work" for mount in looked["mounts"])


def test_names() -> None:
    assert plan.default_name({"repository": "owner/Model-1B"}) == "Model-1B"
    assert plan.default_name({"name": "mine", "repository": "owner/x"}) == "mine"
    assert plan.default_name({}) == "model"
    assert plan.directory_name(wanted(provenance={})) == "Mine"
    assert plan.directory_name(wanted(provenance={}, settings={**SETTINGS, "name": "../.."})) == "model"
    assert plan.container_name("/a") != plan.container_name("/b")
    assert manifest.intermediate_of("/x/model.gguf", "f16") == "/x/model.f16.gguf"


def test_needs() -> None:
    """DeepSeek-R1-Distill-Qwen-1.5B: 3.55 GB as bf16, 1.12 GB as Q4_K_M."""
    weights = Weights(1_777_088_000, 151936 * 1536)
    assert 3_554_176_000 < plan.needs(weights, "bf16", "none", 0).disk < 3_600_000_000
    both = plan.needs(weights, "bf16", "Q4_K_M", 10)
    assert 4_670_000_000 < both.disk < 5_000_000_000
    assert both.memory > 151936 * 1536 * 4
    # Every quantisation takes less than f16, and none is forgotten.
    assert all(0 < bits < 16 for name, bits in plan.QUANTIZATIONS.items() if name != "none")


def test_memory() -> None:
    assert plan.available_memory("MemTotal: 9 kB\nMemAvailable:    2 kB\n") == 2048
    assert plan.available_memory("MemTotal: 9 kB\n") is None
    assert [plan.size_in_bytes(text) for text in ("1", "2k", "1.5m", "1G")] == [1, 2048, 1572864, 1 << 30]
    with pytest.raises(ValueError, match="memory_limit is '4 GB'"):
        plan.size_in_bytes("4 GB")
