# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""From what is wanted to the result, the same way for every kind: read, compare, act, wait, report."""

from __future__ import annotations

import time
import typing as t

from .cluster import ClusterStore
from .conditions import UNHEARD, Verdict, Watch, conditions_of, is_true, is_unheard, wait_message
from .describe import describe
from .errors import WaitFailed
from .kinds import CONNECTOR, KUBERNETES, LISTENER, Kind
from .namespaces import FileStore
from .ownership import Object
from .plan import Plan
from .session import Session

#: What the option wait_for means.
TARGETS = {"configured": "Configured", "ready": "Ready"}

#: Kinds of which the controller never says what it could not write at once.
NUDGED = (LISTENER, CONNECTOR)

Step = tuple[str, t.Callable[[], t.Any]]


def wait_for(
    session: Session, kind: Kind, name: str, target: str, sleep: t.Callable[[float], None] = time.sleep
) -> Object:
    """Return the object as soon as ``target`` holds; WaitFailed with what it says of itself otherwise."""
    watch, began, pause = Watch(target), session.clock(), 0.1
    limit, store = float(session.params["wait_timeout"]), session.store
    # Since when nothing was written, and whether what was is to be taken back.
    written, nudged = began, False
    while True:
        live = store.get(kind, name)
        now = session.clock()
        verdict = watch.judge(live, now)
        if verdict.state == "done" and live is not None and not nudged:
            return live
        late = now - began >= limit
        if live is None:
            verdict = Verdict("failed", "somebody removed it")
        elif isinstance(store, ClusterStore) and kind in NUDGED:
            if nudged and (late or verdict.state != "pending"):
                store.nudge(live, None)
                written, nudged = now, False
            elif not late and is_unheard(live) and now - written >= UNHEARD:
                store.nudge(live, f"{time.time():.3f}")
                written, nudged = now, True
        if verdict.state == "failed" or late:
            message = wait_message(kind, session.namespace, name, live, verdict, target, now - began)
            raise WaitFailed(message, conditions=conditions_of(live))
        sleep(min(pause, max(0.0, limit - (now - began))))
        pause = min(pause * 1.5, 1.0)


def wait_gone(session: Session, kind: Kind, name: str, sleep: t.Callable[[float], None] = time.sleep) -> None:
    """Return when the object is gone; WaitFailed with what holds it otherwise."""
    began, pause = session.clock(), 0.1
    limit = float(session.params["wait_timeout"])
    while True:
        live = session.store.get(kind, name)
        if live is None:
            return
        waited = session.clock() - began
        if waited >= limit:
            held = ", ".join((live.get("metadata") or {}).get("finalizers") or []) or "none"
            raise WaitFailed(
                f"{kind.name} {name} in namespace {session.namespace} is still there {waited:.0f} s after "
                "it was "
                f"deleted; its finalizers: {held}. Next: kubectl -n {session.namespace} describe "
                f"{kind.plural}.skupper.io {name}"
            )
        sleep(pause)
        pause = min(pause * 1.5, 1.0)


def waits(session: Session) -> bool:
    """Return whether there is something to wait for: only a controller writes conditions."""
    return (
        session.platform == KUBERNETES and bool(session.params.get("wait")) and not session.module.check_mode
    )


def present(
    session: Session,
    kind: Kind,
    name: str,
    desired: Object,
    live: Object | None,
    *,
    target: str | None = None,
    first: t.Sequence[Step] = (),
    notes: t.Mapping[str, tuple[t.Any, t.Any]] | None = None,
) -> tuple[Plan, Object]:
    """Make the object as desired, wait for it, and return the plan and the object as it is then.

    :param target: condition to wait for; None waits for nothing.
    :param first: steps that belong before the write; they are a change of their own.
    :param notes: what these change, for the diff.
    """
    plan = session.plan(desired, live)
    plan.notes.update(notes or {})
    steps = list(first)
    if plan.changed:
        steps.append((f"writing {kind.name} {name}", lambda: session.store.apply(plan)))
    plan.changed = plan.changed or bool(first)
    session.act(steps)
    after = plan.after or desired
    if target is not None and waits(session):
        if live is not None and not plan.changed and is_true(live, target):
            return plan, live
        return plan, wait_for(session, kind, name, target)
    if session.module.check_mode or (live is not None and not plan.changed):
        return plan, after
    return plan, session.store.get(kind, name) or after


def result_of(session: Session, kind: Kind, plan: Plan, now: Object | None, key: str) -> dict[str, t.Any]:
    """Return the module's result."""
    result: dict[str, t.Any] = {
        "changed": plan.changed,
        "diff": plan.diff(),
        key: describe(now, session.platform) if now is not None else None,
    }
    if isinstance(session.store, FileStore):
        result["reload_needed"] = session.store.is_pending(kind, plan.desired["metadata"]["name"], plan.after)
    return result


def absent(
    session: Session,
    kind: Kind,
    name: str,
    live: Object | None,
    *,
    key: str,
    more: t.Sequence[Step] = (),
    notes: t.Mapping[str, tuple[t.Any, t.Any]] | None = None,
) -> dict[str, t.Any]:
    """Remove the object and what goes with it, and wait until it is gone.

    :param more: steps that remove what else was made for it; they are a change of their own.
    """
    steps = list(more)
    if live is not None:
        steps.append((f"removing {kind.name} {name}", lambda: session.store.delete(kind, name)))
    session.act(steps)
    if live is not None and waits(session):
        wait_gone(session, kind, name)
    nothing: Object = {"kind": kind.name, "metadata": {"name": name}}
    plan = Plan(nothing, live, None, bool(steps), dict(notes or {}))
    return result_of(session, kind, plan, None, key)
