"""Conditions, and the Ready that follows from them, as Skupper's own types keep them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from .kinds import KINDS, Resource, spec_of, status_of


def now() -> str:
    """The time as Kubernetes writes it."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def find(one: Resource, type_: str) -> dict[str, Any] | None:
    """A condition by its type."""
    return next((c for c in status_of(one).get("conditions") or [] if c.get("type") == type_), None)


def required(one: Resource) -> tuple[str, ...]:
    """The conditions that make this resource Ready; a Site needs Resolved only with link access."""
    types = KINDS[one["kind"]].conditions
    if one["kind"] == "Site" and spec_of(one).get("linkAccess") not in (None, "", "none"):
        return (*types, "Resolved")
    return types


def _put(one: Resource, type_: str, ok: bool, reason: str, message: str) -> bool:
    """Set one condition; its time moves with its truth, its observed generation with any change."""
    generation = (one.get("metadata") or {}).get("generation") or 0
    conditions = status_of(one).setdefault("conditions", [])
    truth = "True" if ok else "False"
    existing = find(one, type_)
    if existing is None:
        existing = {"type": type_, "lastTransitionTime": now()}
        conditions.append(existing)
    elif (existing["status"], existing["reason"], existing["message"]) == (truth, reason, message) and (
        existing.get("observedGeneration", 0) == generation
    ):
        return False
    if existing.get("status", truth) != truth:
        existing["lastTransitionTime"] = now()
    existing.update(status=truth, reason=reason, message=message)
    if generation:
        existing["observedGeneration"] = generation
    return True


def ready_state(one: Resource) -> tuple[bool, str, str]:
    """(true, reason, message) of Ready: the first required condition that is missing or false decides."""
    for type_ in required(one):
        condition = find(one, type_)
        if condition is None:
            return False, "Pending", f"Not {type_}"
        if condition["status"] != "True":
            return False, condition["reason"], condition["message"]
    return True, "Ready", "OK"


def put(one: Resource, type_: str, ok: bool = True, reason: str = "", message: str = "") -> bool:
    """Set a condition and, with it, Ready, `status` and `message`; whether anything changed."""
    changed = _put(
        one, type_, ok, reason or ("Ready" if ok else "Pending"), message or ("OK" if ok else f"Not {type_}")
    )
    if not changed or type_ == "Redeemed":
        return changed
    good, status, text = ready_state(one)
    status_of(one).update(status=status, message=text)
    _put(one, "Ready", good, status, text)
    return True
