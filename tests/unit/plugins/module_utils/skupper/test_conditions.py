# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a wait ends, with the conditions that the controller of 2.2.1 was seen to write."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.conditions import (
    ERROR_LASTS,
    SILENCE,
    Verdict,
    Watch,
    is_true,
    wait_message,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import LINK, LISTENER, SITE


def obj(*conditions: str, generation: int = 1) -> dict[str, Any]:
    """An object with conditions as ``Type Status Reason generation message``."""
    found = []
    for one in conditions:
        kind, status, reason, observed, message = one.split(" ", 4)
        found.append(
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "observedGeneration": int(observed),
                "message": message,
            }
        )
    return {"metadata": {"name": "a", "generation": generation}, "status": {"conditions": found}}


@pytest.mark.parametrize(
    "condition, generation, expected",
    [
        ("Configured True Ready 2 OK", 2, True),
        ("Configured True Ready 1 OK", 2, False),
        ("Ready True Ready 1 OK", 2, False),
        # These keep the old generation for good.
        ("Matched True Ready 1 OK", 2, True),
        ("Operational True Ready 1 OK", 2, True),
        ("Configured False Pending 2 x", 2, False),
    ],
)
def test_generation_counts_only_where_the_controller_keeps_it(
    condition: str, generation: int, expected: bool
) -> None:
    assert is_true(obj(condition, generation=generation), condition.split()[0]) == expected


def test_a_passing_error_is_none_and_a_lasting_one_ends_the_wait() -> None:
    watch = Watch("Configured")
    failing = obj("Configured False Error 1 certificates.skupper.io already exists")
    assert watch.judge(failing, 10.0).state == "pending"
    assert watch.judge(failing, 10.0 + ERROR_LASTS - 0.1).state == "pending"
    assert watch.judge(obj("Configured False Pending 1 soon"), 13.0) == Verdict("pending", "soon")
    assert watch.judge(failing, 13.1).state == "pending"
    assert watch.judge(failing, 13.1 + ERROR_LASTS) == Verdict(
        "failed", "certificates.skupper.io already exists"
    )


def test_another_error_begins_anew() -> None:
    watch = Watch("Configured")
    watch.judge(obj("Configured False Error 1 one"), 0.0)
    assert watch.judge(obj("Configured False Error 1 two"), ERROR_LASTS).state == "pending"


def test_the_error_of_an_older_generation_does_not_count() -> None:
    watch = Watch("Configured")
    old = obj("Configured False Error 1 old", generation=2)
    watch.judge(old, 0.0)
    assert watch.judge(old, 100.0).state == "pending"


def test_silence_is_an_absent_or_blocked_controller() -> None:
    watch = Watch("Ready")
    assert watch.judge(obj(), 0.0).state == "pending"
    assert watch.judge(obj(), SILENCE - 0.1).state == "pending"
    verdict = watch.judge(obj(), SILENCE)
    assert verdict.state == "failed"
    message = wait_message(SITE, "n", "a", obj(), verdict, "Ready", SILENCE)
    assert "no controller watches this namespace" in message and "135 s" in message
    assert "Next: kubectl get pods" in message


def test_done() -> None:
    site = obj("Configured True Ready 1 OK", "Running True Ready 1 OK", "Ready True Ready 1 OK")
    assert Watch("Ready").judge(site, 0.0) == Verdict("done")


def test_message_of_a_timeout_has_conditions_cause_and_next_command() -> None:
    link = obj("Configured True Ready 1 OK", "Ready False Pending 1 Not Operational")
    verdict = Watch("Operational").judge(link, 0.0)
    message = wait_message(LINK, "priv", "a", link, verdict, "Operational", 60.2)
    assert (
        "Link a in namespace priv was written and is not ready after 60 s, waiting for Operational" in message
    )
    assert "Ready=False (Pending: Not Operational)" in message
    assert "Likely cause: the other site cannot be reached" in message
    assert "Next: kubectl -n priv logs deploy/skupper-router" in message


@pytest.mark.parametrize(
    "text, cause",
    [
        ("Service taken already exists in namespace", "a Service that Skupper did not make"),
        ("No active site in namespace", "no site that is Ready"),
        ("An active site already exists in the namespace (pub)", "another site"),
        ("Unsupported value for LinkAccess: nodeport", "SKUPPER_ENABLED_ACCESS_TYPES"),
    ],
)
def test_likely_causes(text: str, cause: str) -> None:
    one = obj(f"Configured False Error 1 {text}")
    message = wait_message(LISTENER, "n", "a", one, Verdict("failed", text), "Configured", 3)
    assert cause in message
