# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which names and formats of a repository are taken."""

from __future__ import annotations

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.hub import names


@pytest.mark.parametrize(
    "name",
    "model.safetensors sub/a.JSON LICENSE License README.md .gitattributes model-00001-of-00002.safetensors "
    "tokenizer.model chat_template.jinja merges.txt figures/benchmark.jpg model.Q4_K_M.gguf".split(),
)
def test_safe(name: str) -> None:
    assert names.is_safe_format(name)


@pytest.mark.parametrize(
    "name",
    "pytorch_model.bin model.pt model.pth x.ckpt x.pkl x.pickle x.joblib x.npy x.h5 modeling_x.py x.so x.zip "
    "x.tar.gz x.onnx x.safetensors.py model .bin json x. a.json/program".split(),
)
def test_unsafe(name: str) -> None:
    assert not names.is_safe_format(name)


def test_weights() -> None:
    assert names.has_weights(["config.json", "sub/model.SAFETENSORS"]) and names.has_weights(["x.gguf"])
    assert not names.has_weights(["config.json", "pytorch_model.bin", "gguf"])


@pytest.mark.parametrize(
    "name", ["a", "a/b", ".hidden", "a/.snapshot.json", "...", "a..b", "ação/x.json", "x" * 255]
)
def test_names_that_can_be(name: str) -> None:
    assert names.problem_of(name) is None


@pytest.mark.parametrize(
    "name, why",
    [
        ("..", "leads out"),
        ("a/..", "leads out"),
        ("a/../b", "leads out"),
        ("/a", "absolute"),
        ("C:x", "absolute"),
        ("", "plain path"),
        ("a/", "plain path"),
        ("a//b", "plain path"),
        ("./a", "plain path"),
        ("a\\b", "backslash"),
        ("a\0b", "control"),
        ("a\x7fb", "control"),
        ("ç" * 128, "too long"),
        ("/".join(["long" * 50] * 6), "too long"),
        ("a\udc80", "Unicode"),
        (".snapshot.json", "own record"),
        (".snapshot.json/x", "own record"),
    ],
)
def test_names_that_cannot_be(name: str, why: str) -> None:
    assert why in str(names.problem_of(name))
    assert names.first_problem(["a", name]) == f"{name!r} {names.problem_of(name)}"


def test_names_that_collide() -> None:
    assert names.first_problem(["a/b", "a/c", "b"]) is None
    assert names.first_problem(["a", "b", "a"]) == "'a' is listed twice"
    assert names.first_problem(["a/b/c", "a/b"]) == "'a/b' is a file and a directory at once"
