# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Why something that was written is not ready yet, in the words of whoever holds it up."""

from __future__ import annotations

import json
import typing as t

from .client import Client
from .resources import Object, name_of

#: Seconds after which a state is believed to stay: a registry or a quota may be back at once.
PATIENCE = 30.0
_NEVER = frozenset(("InvalidImageName", "ErrImageNeverPull"))
_SLOWLY = frozenset(
    (
        "ErrImagePull",
        "ImagePullBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    )
)
#: Restarts after which a container is said to crash.
_CRASHES = 3
_LOG_LINES = 12


class Reason(t.NamedTuple):
    """``text`` says what holds up; ``patience`` how many seconds it may (None: until the end of the wait)."""

    text: str
    patience: float | None = None


def _condition(obj: t.Mapping[str, t.Any], name: str) -> Object:
    conditions = (obj.get("status") or {}).get("conditions") or []
    return next((dict(one) for one in conditions if one.get("type") == name), {})


def is_rolled_out(deployment: t.Mapping[str, t.Any]) -> bool:
    """Return whether the controller has seen the Deployment, and all its pods are new and available."""
    status, wanted = deployment.get("status") or {}, deployment["spec"].get("replicas", 1)
    return bool(
        status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
        and status.get("updatedReplicas", 0) >= wanted
        and status.get("availableReplicas", 0) >= wanted
        and status.get("replicas", 0) <= status.get("updatedReplicas", 0)
    )


def of_deployment(client: Client, deployment: Object) -> Reason:
    """Return why a rollout has not ended: the worst of what its newest pods say."""
    status = deployment.get("status") or {}
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 0):
        return Reason("no controller has looked at it yet")
    failure = _condition(deployment, "ReplicaFailure")
    if failure.get("status") == "True":
        return Reason(f"its pods may not be made: {failure.get('message')}", PATIENCE)
    reasons = [of_pod(client, one) for one in _newest(_pods(client, deployment))]
    found = [one for one in reasons if one is not None]
    if found:
        return min(found, key=lambda one: PATIENCE * 9 if one.patience is None else one.patience)
    wanted = deployment["spec"].get("replicas", 1)
    ready = status.get("availableReplicas", 0)
    return Reason(f"{ready} of {wanted} pods are available, {status.get('updatedReplicas', 0)} are new")


def _pods(client: Client, deployment: Object) -> list[Object]:
    labels = (deployment["spec"].get("selector") or {}).get("matchLabels") or {}
    query = [("labelSelector", ",".join(f"{key}={value}" for key, value in sorted(labels.items())))]
    path = f"/api/v1/namespaces/{deployment['metadata']['namespace']}/pods"
    return list(client.request("GET", path, query).get("items") or [])


def _newest(pods: list[Object]) -> list[Object]:
    alive = [one for one in pods if "deletionTimestamp" not in one["metadata"]]
    if not alive:
        return []
    newest = max(alive, key=lambda one: str(one["metadata"].get("creationTimestamp")))
    mark = (newest["metadata"].get("labels") or {}).get("pod-template-hash")
    return [one for one in alive if (one["metadata"].get("labels") or {}).get("pod-template-hash") == mark]


def of_pod(client: Client, pod: Object) -> Reason | None:
    """Return why a pod is not ready, None when it is."""
    name, status = name_of(pod), pod.get("status") or {}
    if _condition(pod, "Ready").get("status") == "True":
        return None
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return Reason(f"pod {name} has no node: {scheduled.get('message')}")
    for container in status.get("containerStatuses") or []:
        state = container.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
        last = (container.get("lastState") or {}).get("terminated") or {}
        why, said = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
        restarts = int(container.get("restartCount") or 0)
        if why in _NEVER:
            return Reason(f"pod {name}: {why}: {said}", 0.0)
        if why in _SLOWLY:
            return Reason(f"pod {name}: {why}: {said}", PATIENCE)
        if why == "CrashLoopBackOff" or ended or restarts:
            code = (ended or last).get("exitCode")
            cause = (ended or last).get("reason") or why
            text = f"pod {name} ended with status {code} ({cause}), {restarts} restarts"
            log = last_lines(client, pod, previous=not ended)
            patience = 0.0 if restarts >= _CRASHES else None
            return Reason(f"{text}; it said: {log}" if log else text, patience)
    unready = _condition(pod, "ContainersReady")
    return Reason(
        f"pod {name} is not ready yet: {unready.get('message') or status.get('phase') or 'no status'}"
    )


def last_lines(client: Client, pod: Object, previous: bool) -> str:
    """Return the end of a pod's log, nothing when it cannot be had."""
    path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{name_of(pod)}/log"
    query = [("tailLines", str(_LOG_LINES)), ("previous", str(previous).lower())]
    try:
        said: t.Any = client.request("GET", path, query)
    except Exception:  # the log is only an addition to what is known already
        return ""
    text = said if isinstance(said, str) else json.dumps(said)
    return " | ".join(line.strip() for line in text.splitlines() if line.strip())


def ready_hosts(pods: t.Iterable[Object]) -> list[str]:
    """Return the addresses of the nodes with a ready pod that stays: they alone answer a policy `Local`."""
    found = [
        (one.get("status") or {}).get("hostIP")
        for one in pods
        if _condition(one, "Ready").get("status") == "True" and "deletionTimestamp" not in one["metadata"]
    ]
    return sorted({str(one) for one in found if one})


def address_of(service: t.Mapping[str, t.Any]) -> str:
    """Return the address that a load balancer was given, "" before."""
    entries = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    return next((str(one.get("ip") or one.get("hostname")) for one in entries if one), "")


def of_route(route: t.Mapping[str, t.Any]) -> Reason | None:
    """Return why no router serves a Route, None when one does."""
    return _accepted(
        (route.get("status") or {}).get("ingress") or [], "Admitted", "no router has looked at it yet"
    )


def of_http_route(route: t.Mapping[str, t.Any]) -> Reason | None:
    """Return why no Gateway serves an HTTPRoute, None when one does."""
    parents = (route.get("status") or {}).get("parents") or []
    return _accepted(parents, "Accepted", "the Gateway's controller has not looked at it yet")


def _accepted(places: list[Object], wanted: str, silent: str) -> Reason | None:
    conditions = [
        one for place in places for one in place.get("conditions") or [] if one.get("type") == wanted
    ]
    if any(one.get("status") == "True" for one in conditions):
        return None
    if not conditions:
        return Reason(silent)
    first = conditions[0]
    return Reason(
        f"{wanted} is {first.get('status')} ({first.get('reason')}): {first.get('message')}", PATIENCE
    )
