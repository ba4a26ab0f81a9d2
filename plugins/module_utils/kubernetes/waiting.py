# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Waiting for what was written, and for what was removed; a wait that ends tells why and what to do next."""

from __future__ import annotations

import time
import typing as t

from . import reasons
from .client import Client
from .errors import ApiError, WaitFailed
from .reasons import Reason
from .resources import Object, Resource, name_of, resource_of

Sleep = t.Callable[[float], None]


def judge(client: Client, live: Object) -> Reason | None:
    """Return what an object waits for, None when it is ready."""
    kind = live["kind"]
    if kind == "Deployment":
        return None if reasons.is_rolled_out(live) else reasons.of_deployment(client, live)
    if kind == "Service" and live["spec"].get("type") == "LoadBalancer":
        return None if reasons.address_of(live) else Reason("the cluster has not given it an address")
    if kind == "Route":
        return reasons.of_route(live)
    if kind == "HTTPRoute":
        return reasons.of_http_route(live)
    return None


def waits(obj: t.Mapping[str, t.Any]) -> bool:
    """Return whether an object of this kind becomes ready only after it was written."""
    balanced = obj["kind"] == "Service" and (obj.get("spec") or {}).get("type") == "LoadBalancer"
    return balanced or obj["kind"] in ("Deployment", "Route", "HTTPRoute")


def wait_for(
    client: Client, desired: Object, limit: float, clock: t.Callable[[], float], sleep: Sleep = time.sleep
) -> Object:
    """Return the object when it is ready; WaitFailed with the reason otherwise."""
    resource, name = resource_of(desired), name_of(desired)
    namespace = desired["metadata"]["namespace"]
    began, pause = clock(), 0.2
    since: tuple[str, float] = ("", began)
    while True:
        live = client.request("GET", resource.path(namespace, name))
        live = {**live, "apiVersion": resource.api_version, "kind": resource.kind}
        reason = judge(client, live)
        if reason is None:
            return live
        now = clock()
        # The words change from try to try, the first ones tell whether it is the same trouble.
        key = reason.text[:60]
        since = since if since[0] == key else (key, now)
        hopeless = reason.patience is not None and now - since[1] >= reason.patience
        if hopeless or now - began >= limit:
            raise WaitFailed(
                f"{resource.kind} {name} in namespace {namespace} was written and is not ready after "
                f"{now - began:.0f} s (limit {limit:.0f} s): {reason.text}. "
                f"Next: {next_command(resource, live)}",
                conditions=(live.get("status") or {}).get("conditions") or [],
            )
        sleep(min(pause, max(0.05, limit - (now - began))))
        pause = min(pause * 1.5, 2.0)


def next_command(resource: Resource, live: Object) -> str:
    """Return the command that shows more."""
    namespace, name = live["metadata"]["namespace"], name_of(live)
    if resource.kind == "Deployment":
        labels = ((live["spec"].get("selector") or {}).get("matchLabels") or {}).items()
        chosen = ",".join(f"{key}={value}" for key, value in sorted(labels))
        return f"kubectl -n {namespace} describe pods -l {chosen}"
    return f"kubectl -n {namespace} describe {resource.plural} {name}"


def wait_gone(
    client: Client,
    paths: t.Sequence[str],
    limit: float,
    clock: t.Callable[[], float],
    sleep: Sleep = time.sleep,
) -> None:
    """Return when nothing is left at these paths; WaitFailed with what holds it otherwise."""
    began, left, pause = clock(), list(paths), 0.1
    while left:
        still: dict[str, t.Any] = {}
        for path in left:
            try:
                found = client.request("GET", path)
            except ApiError as error:
                if error.status != 404:
                    raise
                continue
            if found.get("items") != []:
                still[path] = found
        if still and clock() - began >= limit:
            path, found = next(iter(still.items()))
            metadata = found.get("metadata") or {}
            names = [name_of(one) for one in found.get("items") or []]
            raise WaitFailed(
                f"{path} is still there {clock() - began:.0f} s after it was removed"
                f"{' (' + ', '.join(names) + ')' if names else ''}; its finalizers: "
                f"{', '.join(metadata.get('finalizers') or []) or 'none'}. Next: kubectl get --raw '{path}'"
            )
        left = list(still)
        if left:
            sleep(pause)
            pause = min(pause * 1.5, 2.0)
