# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that make no sense are refused with their value and the least one."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.training import inputs

PARAMS: dict[str, t.Any] = {
    **inputs.LEAST,
    "device": "cpu",
    "devices": [],
    "taxonomy": "/srv/taxonomy",
    "teacher": {"url": "https://one/v1", "rows": 1},
}


def test_what_makes_sense() -> None:
    inputs.check_options(PARAMS)
    inputs.check_options({**PARAMS, "teacher": None, "taxonomy": None})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"epochs": 0}, "epochs is 0; at least 1 is needed"),
        ({"max_seq_len": 20}, "max_seq_len is 20; at least 21"),
        ({"device": "cuda"}, r"nvidia\.com/gpu=all"),
        ({"taxonomy": None}, "there is a teacher and no taxonomy"),
        ({"teacher": {"url": "https://one/v1", "rows": 0}}, r"teacher\.rows is 0"),
        ({"teacher": {"url": "one:8000", "rows": 1}}, "'one:8000'; needed are"),
    ],
)
def test_what_does_not(change: dict[str, t.Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        inputs.check_options({**PARAMS, **change})
