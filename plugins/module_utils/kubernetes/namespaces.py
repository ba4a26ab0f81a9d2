# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""The namespace of a set: made when there is none, removed when we made it and nothing is left in it."""

from __future__ import annotations

import typing as t

from .client import Client
from .compare import comparable, is_same
from .errors import ClusterError
from .resources import Object
from .store import MANAGED_BY, MANAGED_LABEL, Store

#: What every namespace has by itself.
_OWN = {
    "ConfigMap": ("kube-root-ca.crt", "openshift-service-ca.crt"),
    "ServiceAccount": ("default", "builder", "deployer", "pipeline"),
    "RoleBinding": ("system:deployers", "system:image-builders", "system:image-pullers"),
}
#: What Kubernetes derives from other objects, and what only tells of the past.
_DERIVED = frozenset(("Event", "Endpoints", "EndpointSlice", "PodMetrics", "Lease"))


def is_ours(namespace: t.Mapping[str, t.Any] | None) -> bool:
    """Return whether this collection made the namespace."""
    labels = ((namespace or {}).get("metadata") or {}).get("labels") or {}
    return labels.get(MANAGED_LABEL) == MANAGED_BY


def desired(name: str, labels: t.Mapping[str, str]) -> Object:
    """Return the namespace as it is made."""
    metadata = {"name": name, "labels": {**labels, MANAGED_LABEL: MANAGED_BY}}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def plan(
    store: Store, live: Object | None, labels: t.Mapping[str, str]
) -> tuple[Object | None, Object | None] | None:
    """Return (before, after) when the namespace is to be written. One that others made stays as it is."""
    wanted = desired(store.namespace, labels)
    if live is None:
        return None, comparable(wanted)
    if not is_ours(live):
        return None
    if "deletionTimestamp" in live["metadata"]:
        raise ClusterError(
            f"namespace {store.namespace} is being removed; wait until it is gone "
            f"(kubectl wait --for=delete namespace/{store.namespace}) and run again"
        )
    after = store.apply_namespace(wanted, dry_run=True)
    return None if is_same(live, after, store.manager) else (live, after)


def left_in(client: Client, name: str, gone: t.Container[tuple[str, str]] = ()) -> list[str]:
    """Return Kind/name of what is in a namespace, apart from what every one has and from ``gone``."""
    found: list[str] = []
    for path, kind in _listable(client):
        if kind in _DERIVED:
            continue
        for one in client.request("GET", path.format(namespace=name)).get("items") or []:
            metadata = one["metadata"]
            own = metadata["name"] in _OWN.get(kind, ()) or _is_token(kind, one)
            owned = bool(metadata.get("ownerReferences"))
            ending = "deletionTimestamp" in metadata
            if not (own or owned or ending or (kind, metadata["name"]) in gone):
                found.append(f"{kind}/{metadata['name']}")
    return sorted(found)


def _is_token(kind: str, one: t.Mapping[str, t.Any]) -> bool:
    return (kind == "Secret" and str(one.get("type", "")).startswith("kubernetes.io/service-account")) or (
        kind == "Secret" and one.get("type") == "kubernetes.io/dockercfg"
    )


def _listable(client: Client) -> t.Iterator[tuple[str, str]]:
    """Yield path and kind of everything that can be in a namespace, each group in its preferred version."""
    roots = ["/api/v1"]
    for group in client.request("GET", "/apis").get("groups") or []:
        roots.append(f"/apis/{group['preferredVersion']['groupVersion']}")
    for root in roots:
        for one in client.request("GET", root).get("resources") or []:
            if one.get("namespaced") and "list" in one.get("verbs", ()) and "/" not in one["name"]:
                yield f"{root}/namespaces/{{namespace}}/{one['name']}", one["kind"]
