# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""One shape for what Skupper's objects say, whatever the platform."""

from __future__ import annotations

import typing as t

from .conditions import conditions_of, is_true
from .kinds import KUBERNETES, Kind
from .ownership import OWN_ANNOTATIONS, kind_of

_NETWORK = ("id", "name", "namespace", "platform", "version")


def describe(obj: t.Mapping[str, t.Any], platform: str) -> dict[str, t.Any]:
    """Return an object with the modules' names, every field of its kind, and what its status says."""
    kind = kind_of(obj)
    metadata, spec = obj.get("metadata") or {}, obj.get("spec") or {}
    status = obj.get("status") or {}
    found: dict[str, t.Any] = {
        "name": metadata.get("name"),
        "namespace": metadata.get("namespace"),
        "platform": platform,
        "uid": metadata.get("uid"),
        "labels": dict(metadata.get("labels") or {}),
        "annotations": {
            key: value
            for key, value in (metadata.get("annotations") or {}).items()
            if not key.startswith(OWN_ANNOTATIONS)
        },
        "settings": dict(spec.get("settings") or {}),
        "status": status.get("status"),
        "message": status.get("message"),
        "conditions": [
            {key: one.get(key) for key in ("type", "status", "reason", "message")}
            for one in sorted(conditions_of(obj), key=lambda one: str(one.get("type")))
        ],
    }
    for field in kind.fields:
        found[field.option] = spec.get(field.key, field.zero)
    found.update(_extra(kind, obj, status, platform))
    return found


def _extra(
    kind: Kind, obj: t.Mapping[str, t.Any], status: t.Mapping[str, t.Any], platform: str
) -> dict[str, t.Any]:
    if kind.name == "Site":
        return {
            "endpoints": list(status.get("endpoints") or []),
            "controller_version": (status.get("controller") or {}).get("version"),
            "sites_in_network": status.get("sitesInNetwork", 0),
            "network": [_site_of_network(one) for one in status.get("network") or []],
        }
    if kind.name == "Listener":
        return {"matched": _matched(obj, status.get("hasMatchingConnector"), platform)}
    if kind.name == "Connector":
        return {
            "matched": _matched(obj, status.get("hasMatchingListener"), platform),
            "selected_pods": [one.get("name") for one in status.get("selectedPods") or []],
        }
    if kind.name == "Link":
        return {
            "operational": is_true(obj, "Operational") if platform == KUBERNETES else None,
            "remote_site_id": status.get("remoteSiteId"),
            "remote_site_name": status.get("remoteSiteName"),
        }
    return {}


def _matched(obj: t.Mapping[str, t.Any], flag: t.Any, platform: str) -> bool | None:
    # Without Kubernetes nobody keeps it up to date: a working service says "Not Matched" there.
    return bool(flag) or is_true(obj, "Matched") if platform == KUBERNETES else None


def _site_of_network(one: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    found = {key: one.get(key) for key in _NETWORK}
    found["links"] = [
        {
            "name": link.get("name"),
            "operational": bool(link.get("operational")),
            "remote_site_id": link.get("remoteSiteId"),
            "remote_site_name": link.get("remoteSiteName"),
        }
        for link in one.get("links") or []
    ]
    found["services"] = [
        {
            "routing_key": service.get("routingKey"),
            "listeners": list(service.get("listeners") or []),
            "connectors": list(service.get("connectors") or []),
        }
        for service in one.get("services") or []
    ]
    return found
