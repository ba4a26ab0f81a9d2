# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""When a wait ends, and what it says when it ends badly.

What the controller of Skupper 2.2 was seen to do decides here: Matched and Operational keep an old
observedGeneration for good; an error may pass (a restart of the controller shows one for a quarter of a
second); an object without any condition has not been looked at.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .kinds import ACCESS_TOKEN, CONNECTOR, LINK, LISTENER, SITE, Kind
from .ownership import Object

#: Conditions that follow the generation of the object.
_FOLLOWING = frozenset(("Configured", "Ready"))
#: Seconds that an error must last to be one.
ERROR_LASTS = 3.0
#: Seconds without any condition after which the controller is taken for absent or blocked.
SILENCE = 20.0
#: Seconds without a word of the object as it is now, after which the controller is made to look again.
UNHEARD = 5.0


@dataclass(frozen=True)
class Verdict:
    """``state`` is done, pending or failed; ``reason`` says why not done."""

    state: str
    reason: str = ""


def conditions_of(obj: t.Mapping[str, t.Any] | None) -> list[dict[str, t.Any]]:
    """Return the conditions of an object."""
    found = ((obj or {}).get("status") or {}).get("conditions") or []
    return [one for one in found if isinstance(one, dict)]


def condition(obj: t.Mapping[str, t.Any] | None, name: str) -> dict[str, t.Any] | None:
    """Return one condition, None when it is not there."""
    return next((one for one in conditions_of(obj) if one.get("type") == name), None)


def is_current(found: t.Mapping[str, t.Any], generation: int) -> bool:
    """Return whether a condition is about the object as it is now."""
    return found.get("type") not in _FOLLOWING or found.get("observedGeneration", generation) >= generation


def is_true(obj: t.Mapping[str, t.Any] | None, name: str) -> bool:
    """Return whether a condition holds, for the object as it is now."""
    found = condition(obj, name)
    generation = ((obj or {}).get("metadata") or {}).get("generation", 0)
    return found is not None and found.get("status") == "True" and is_current(found, generation)


def is_unheard(obj: t.Mapping[str, t.Any] | None) -> bool:
    """Return whether the controller has not said a word of the object as it is now."""
    found = condition(obj, "Configured")
    generation = ((obj or {}).get("metadata") or {}).get("generation", 0)
    return found is None or not is_current(found, generation)


class Watch:
    """Judges an object each time it was read.

    :param target: the condition that is waited for.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self._error: tuple[str, float] | None = None
        self._began: float | None = None

    def judge(self, obj: t.Mapping[str, t.Any] | None, now: float) -> Verdict:
        """Return the verdict at time ``now`` (seconds of any clock that does not jump)."""
        if self._began is None:
            self._began = now
        if is_true(obj, self.target):
            return Verdict("done")
        found = conditions_of(obj)
        if not found:
            waited = now - self._began
            if waited >= SILENCE:
                return Verdict("failed", f"no condition was written for {waited:.0f} s")
            return Verdict("pending", "it has no condition yet")
        generation = ((obj or {}).get("metadata") or {}).get("generation", 0)
        errors = [
            one
            for one in found
            if one.get("status") == "False" and one.get("reason") == "Error" and is_current(one, generation)
        ]
        text = next((str(one.get("message") or "") for one in errors), None)
        if text is None:
            self._error = None
            own = condition(obj, self.target)
            said = own.get("message") if own else None
            return Verdict("pending", str(said or f"{self.target} is not there yet"))
        if self._error is None or self._error[0] != text:
            self._error = (text, now)
        if now - self._error[1] >= ERROR_LASTS:
            return Verdict("failed", text)
        return Verdict("pending", text)


def summary(obj: t.Mapping[str, t.Any] | None) -> str:
    """Return the conditions in one line."""
    words = [
        f"{one.get('type')}={one.get('status')} ({one.get('reason')}: {one.get('message')})"
        for one in conditions_of(obj)
    ]
    return ", ".join(words) or "none"


def likely_cause(kind: Kind, obj: t.Mapping[str, t.Any] | None, reason: str) -> str:
    """Return what is probably wrong."""
    if not conditions_of(obj):
        return (
            "no controller watches this namespace, or an AccessToken that cannot be redeemed blocks it "
            "(for up to "
            "135 s, and again every 30 s until that AccessToken is deleted)"
        )
    if is_unheard(obj):
        return (
            "the controller has not said a word of the object as it is now; look into its log, and restart "
            "it if it works on others"
        )
    if "already exists in namespace" in reason and kind is LISTENER:
        return "another listener or a Service that Skupper did not make has this host and port"
    if "active site" in reason:
        return (
            "the namespace has no site that is Ready"
            if "No active" in reason
            else "another site is in the namespace"
        )
    if "Unsupported value for LinkAccess" in reason or "unsupported access type" in reason:
        return "the controller was not told to offer this kind of access (SKUPPER_ENABLED_ACCESS_TYPES)"
    known = {
        SITE.name: "the router's pod does not start, or the cluster gives link access no address",
        LISTENER.name: "no connector with this routing key is in the network yet",
        CONNECTOR.name: "no pod matches the selector, or no listener has this routing key",
        LINK.name: "the other site cannot be reached, or does not accept the certificate",
        ACCESS_TOKEN.name: "the grant server of the other site cannot be reached",
    }
    return known.get(kind.name, "the controller has more to say in its log")


def next_command(kind: Kind, namespace: str, name: str, obj: t.Mapping[str, t.Any] | None) -> str:
    """Return the command that shows more."""
    if not conditions_of(obj):
        return "kubectl get pods --all-namespaces | grep skupper-controller"
    if kind is SITE:
        return f"kubectl -n {namespace} get pods,securedaccesses"
    if kind is LINK:
        return f"kubectl -n {namespace} logs deploy/skupper-router -c router --tail=20"
    return f"kubectl -n {namespace} describe {kind.plural}.skupper.io {name}"


def wait_message(
    kind: Kind, namespace: str, name: str, obj: Object | None, verdict: Verdict, target: str, seconds: float
) -> str:
    """Return the message of a wait that failed."""
    ended = (
        f"failed after {seconds:.0f} s"
        if verdict.state == "failed"
        else f"is not ready after {seconds:.0f} s"
    )
    return (
        f"{kind.name} {name} in namespace {namespace} was written and {ended}, waiting for {target}: "
        f"{verdict.reason}. Conditions: {summary(obj)}. Likely cause: "
        f"{likely_cause(kind, obj, verdict.reason)}. "
        f"Next: {next_command(kind, namespace, name, obj)}"
    )
