# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One shape for all platforms, and what is pending."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.describe import describe
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.network import (
    LISTS,
    describe_grant,
    parse_time,
    what_is_missing,
    with_status,
)

NOW = datetime.datetime(2026, 11, 20, 18, 0, tzinfo=datetime.timezone.utc)


def obj(kind: str, name: str, ready: str | None, message: str = "OK", **more: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": ready, "reason": "x", "message": message}] if ready else []
    return {"kind": kind, "metadata": {"name": name}, "status": {"conditions": conditions}, **more}


def test_fields_that_are_not_there_have_their_meaning() -> None:
    found = describe({"kind": "Listener", "metadata": {"name": "a"}, "spec": {"port": 1}}, "kubernetes")
    assert found["observer"] == "auto" and found["port"] == 1 and found["expose_pods_by_name"] is False
    assert found["matched"] is False and found["status"] is None
    # Nobody keeps it up to date there.
    assert describe({"kind": "Listener", "metadata": {"name": "a"}}, "linux")["matched"] is None


def test_network_of_a_site() -> None:
    status = {
        "network": [
            {
                "id": "1",
                "name": "home-17-8",
                "platform": "linux",
                "links": [{"name": "l", "operational": True, "remoteSiteName": "pub"}],
                "services": [{"routingKey": "k", "connectors": ["127.0.0.1"]}],
            }
        ]
    }
    site = describe({"kind": "Site", "metadata": {"name": "pub"}, "status": status}, "kubernetes")
    assert site["network"][0]["links"][0] == {
        "name": "l",
        "operational": True,
        "remote_site_id": None,
        "remote_site_name": "pub",
    }
    assert site["network"][0]["services"][0]["connectors"] == ["127.0.0.1"]


@pytest.mark.parametrize(
    "redemptions, until, usable",
    [
        (0, "2026-11-20T18:00:01Z", True),
        (2, "2026-11-20T18:00:01Z", False),
        (0, "2026-11-20T18:00:00Z", False),
        (0, None, False),
    ],
)
def test_a_grant_tells_whether_it_is_good_and_never_its_code(
    redemptions: int, until: str | None, usable: bool
) -> None:
    grant = obj("AccessGrant", "g", "True", spec={"redemptionsAllowed": 2, "code": "s3cret"})
    # Skupper calls all of these ready.
    grant["status"].update(status="Ready", redemptions=redemptions, expirationTime=until, code="s3cret")
    found = describe_grant(grant, "kubernetes", NOW)
    assert found["usable"] is usable
    assert "s3cret" not in str(found)


def test_times() -> None:
    assert parse_time("2026-11-20T18:00:00Z") == NOW
    assert parse_time("2026-11-20T18:00:00") is None and parse_time(None) is None


def test_a_listener_without_a_site_is_not_believed() -> None:
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in LISTS}
    found["listeners"] = [obj("Listener", "a", "True")]
    assert what_is_missing(found) == ["Site: there is no site, so nothing else in this namespace works"]
    found["sites"] = [obj("Site", "s", "True")]
    found["connectors"] = [
        obj("Connector", "c", "False", "No matching listeners"),
        obj("Connector", "d", None),
    ]
    assert what_is_missing(found) == [
        "Connector/c: No matching listeners",
        "Connector/d: no controller has looked at it",
    ]


def test_state_of_what_runs_goes_to_what_is_wanted() -> None:
    wanted: list[dict[str, Any]] = [
        {"metadata": {"name": "a"}, "spec": {"port": 2}},
        {"metadata": {"name": "new"}},
    ]
    running = [{"metadata": {"name": "a", "uid": "u"}, "spec": {"port": 1}, "status": {"status": "Ready"}}]
    found = with_status(wanted, running)
    assert found[0] == {
        "metadata": {"name": "a", "uid": "u"},
        "spec": {"port": 2},
        "status": {"status": "Ready"},
    }
    assert found[1] == wanted[1]
