# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of a training: what is compared, what is found changed, what it never holds."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.files import sha256_of
from ansible_collections.private_ai.chatbot.plugins.module_utils.training import record

PARAMS = {
    "epochs": 4,
    "effective_batch_size": 8,
    "max_batch_len": 2048,
    "max_seq_len": 512,
    "device": "cpu",
    "dtype": "base",
    "threads": 1,
}
BASE = {"config.json": "a", "model.safetensors": "b"}
DATA = {"kind": "messages", "sha256": "c"}
OUTCOME = {
    "ok": True,
    "data": {"rows": 200, "longest": 83},
    "versions": {"instructlab": "0.26.1"},
    "epochs": [{"epoch": 1, "loss": 0.5}],
    "interruptions": 0,
    "dtype": "float16",
    "parameters": 40,
}


def made(folder: Path) -> dict[str, t.Any]:
    """A directory with one file and its record."""
    (folder / "model.safetensors").write_text("weights")
    os.chmod(folder / "model.safetensors", 0o644)
    files = {"model.safetensors": {"size": 7, "sha256": sha256_of(str(folder / "model.safetensors"))}}
    source = {"repository": "a/b", "commit": "1"}
    content = record.record("own", record.wanted(PARAMS, BASE, DATA), source, OUTCOME, files)
    (folder / record.RECORD).write_bytes(record.to_json(content))
    return content


def test_record_agrees_with_what_it_was_made_from(tmp_path: Path) -> None:
    """Read back it is the same; its inputs compare equal though it tells more of the data."""
    content = made(tmp_path)
    assert record.read(str(tmp_path)) == json.loads(record.to_json(content))
    assert record.inputs_of(record.read(str(tmp_path))) == record.wanted(PARAMS, BASE, DATA)
    assert content["data"] == {**DATA, "rows": 200, "longest": 83}
    assert content["provenance"]["base_repository"] == "a/b" and content["provenance"]["data_rows"] == 200
    assert all(isinstance(value, (str, int)) for value in content["provenance"].values())


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 5},
        {"effective_batch_size": 2},
        {"max_batch_len": 1024},
        {"max_seq_len": 256},
        {"device": "cuda"},
        {"dtype": "float32"},
    ],
)
def test_settings_that_shape_the_model_count(change: dict[str, t.Any]) -> None:
    """And give the work under way another name."""
    before = record.wanted(PARAMS, BASE, DATA)
    after = record.wanted({**PARAMS, **change}, BASE, DATA)
    assert before != after and record.digest(before) != record.digest(after)


def test_settings_that_only_cost_time_do_not_count() -> None:
    """Nor does the order in which files are found."""
    changed = {**PARAMS, "threads": 8}
    turned = dict(reversed(BASE.items()))
    assert record.wanted(changed, turned, DATA) == record.wanted(PARAMS, BASE, DATA)
    assert record.digest(record.wanted(changed, turned, DATA)) == record.digest(
        record.wanted(PARAMS, BASE, DATA)
    )


def test_drift_is_told_by_file(tmp_path: Path) -> None:
    """Missing, changed, added, closed."""
    content = made(tmp_path)
    assert record.drift(str(tmp_path), content, sha256_of) == {}
    (tmp_path / "extra").write_text("")
    os.chmod(tmp_path / "model.safetensors", 0o600)
    found = record.drift(str(tmp_path), content, sha256_of)
    assert found == {"extra": "added", "model.safetensors": "not readable by all"}
    (tmp_path / "model.safetensors").write_text("Weights")
    assert record.drift(str(tmp_path), content, sha256_of)["model.safetensors"] == "changed"
    (tmp_path / "model.safetensors").unlink()
    assert record.drift(str(tmp_path), content, sha256_of)["model.safetensors"] == "missing"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2, "files": {}}', '{"format": 1, "files": []}'])
def test_records_that_cannot_be_understood_are_none(tmp_path: Path, text: str) -> None:
    """The model is then trained anew."""
    (tmp_path / record.RECORD).write_text(text)
    assert record.read(str(tmp_path)) is None
    assert record.inputs_of(None) == {}


def test_where_the_base_came_from(tmp_path: Path) -> None:
    """Only what is no address and no path."""
    assert record.source(str(tmp_path)) == {}
    known = {"repository": "a/b", "commit": "1", "endpoint": "https://x", "files": []}
    (tmp_path / ".snapshot.json").write_text(json.dumps(known))
    assert record.source(str(tmp_path)) == {"repository": "a/b", "commit": "1"}
