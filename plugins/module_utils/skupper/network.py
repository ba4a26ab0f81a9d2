# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""What a namespace holds and what is still missing, in one shape for all platforms."""

from __future__ import annotations

import datetime
import typing as t

from .conditions import condition, is_true
from .describe import describe
from .kinds import ACCESS_GRANT, CONNECTOR, LINK, LISTENER, ROUTER_ACCESS, SITE, Kind
from .ownership import Object

#: The lists of the result, and the kinds in them.
LISTS: dict[str, Kind] = {
    "sites": SITE,
    "listeners": LISTENER,
    "connectors": CONNECTOR,
    "links": LINK,
    "router_accesses": ROUTER_ACCESS,
    "grants": ACCESS_GRANT,
}


def describe_grant(obj: Object, platform: str, now: datetime.datetime) -> dict[str, t.Any]:
    """Return a grant without its code.

    Skupper calls one that is spent or has expired ready, so only the numbers tell.
    """
    status = obj.get("status") or {}
    found = describe(obj, platform)
    made, until = int(status.get("redemptions") or 0), status.get("expirationTime")
    expired = parse_time(until) is not None and t.cast(datetime.datetime, parse_time(until)) <= now
    spent = made >= int(found["redemptions_allowed"] or 1)
    found.update(
        {
            "redemptions_made": made,
            "expiration_time": until,
            "expired": expired,
            "spent": spent,
            "usable": found["status"] == "Ready" and bool(until) and not expired and not spent,
        }
    )
    return found


def parse_time(text: t.Any) -> datetime.datetime | None:
    """Return an RFC 3339 time, None for what is none."""
    try:
        found = datetime.datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else None


def what_is_missing(objects: t.Mapping[str, t.Sequence[Object]]) -> list[str]:
    """Return what a cluster's namespace still waits for, a line for each object.

    A listener goes on to call itself ready when its site is gone, so the site is asked first.
    """
    lines = []
    sites = objects["sites"]
    if not any(is_true(site, "Ready") for site in sites):
        has = "no site is ready" if sites else "there is no site"
        if any(objects[name] for name in ("listeners", "connectors", "links")):
            lines.append(f"Site: {has}, so nothing else in this namespace works")
    for name in ("sites", "listeners", "connectors", "links"):
        for one in objects[name]:
            if not is_true(one, "Ready"):
                found = condition(one, "Ready")
                message = (found or {}).get("message") or "no controller has looked at it"
                lines.append(f"{one['kind']}/{one['metadata']['name']}: {message}")
    return lines


def with_status(wanted: t.Sequence[Object], running: t.Sequence[Object]) -> list[Object]:
    """Return the objects of a namespace's input, each with uid and status of what runs by its name."""
    states = {one["metadata"]["name"]: one for one in running}
    found = []
    for one in wanted:
        state = states.get(one["metadata"]["name"])
        if state is not None:
            metadata = {**one["metadata"], "uid": (state.get("metadata") or {}).get("uid")}
            one = {**one, "metadata": metadata, "status": state.get("status") or {}}
        found.append(one)
    return found
