# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Sites on Kubernetes: objects of one namespace, compared and written by server-side apply."""

from __future__ import annotations

import typing as t

from .api import CONTROLLER_LABEL, Api, has_controller, has_pods, workload_selector
from .errors import ApiError, MissingPrerequisite
from .kinds import CONNECTOR, Kind
from .ownership import Object, clean, foreign_fields, is_settled, kind_of, leaves, owned
from .plan import Plan

#: Its field manager is another than ours, so that what we apply stays as it is.
TOUCH_MANAGER = "private_ai.chatbot.touch"
#: The ConfigMap that version 1 keeps its site in, and version 2 does not make.
VERSION_1 = "skupper-site"
TOUCHED = "private-ai.chatbot/touched"


class ClusterStore:
    """The objects of one namespace of a cluster."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.api = api
        self.namespace = namespace

    def get(self, kind: Kind, name: str) -> Object | None:
        """Return one object, None when it does not exist."""
        return self.api.get(kind, self.namespace, name)

    def all(self, kind: Kind) -> list[Object]:
        """Return the objects of a kind."""
        return self.api.all(kind, self.namespace)

    def plan(self, desired: Object, live: Object | None, dry_run: bool = True) -> Plan:
        """Return what applying ``desired`` would change, as the API server itself says.

        :param dry_run: False when the server must not be asked, because it lacks what is needed.
        """
        if live is not None and is_settled(desired, live):
            return Plan(desired, live, live, False)
        if not dry_run:
            return Plan(desired, live, desired, True)
        kind = kind_of(desired)
        if live is not None and foreign_fields(desired, live):
            after = self.api.merge(kind, self._with_nulls(desired, live), dry_run=True)
        else:
            after = self.api.apply(kind, desired, dry_run=True)
        plan = Plan(desired, live, after, live is None or clean(live) != clean(after))
        if live is not None and not plan.changed and owned(live) != leaves(desired):
            # The same content, written by others until now: without being its owner we could never remove it.
            plan.changed = True
            plan.notes["managed by this collection"] = (_paths(owned(live)), _paths(leaves(desired)))
        return plan

    @staticmethod
    def _with_nulls(desired: Object, live: Object) -> Object:
        # What others wrote and we want gone cannot be removed by apply, only by null.
        nulls = dict.fromkeys(foreign_fields(desired, live))
        return {**desired, "spec": {**(desired.get("spec") or {}), **nulls}}

    def apply(self, plan: Plan) -> Object:
        """Write what was planned.

        Where it can be, the last write is one that changes the spec: after one that only changes who owns
        what, the controller finds the object newer than it thought, and never writes its conditions.
        """
        kind, desired = kind_of(plan.desired), plan.desired
        foreign = foreign_fields(desired, plan.before) if plan.before is not None else []
        if kind is CONNECTOR and foreign:
            # A host and a selector exclude each other, so both change at once; see `nudge`.
            self.api.merge(kind, self._with_nulls(desired, plan.before or {}), dry_run=False)
        written = self.api.apply(kind, desired, dry_run=False)
        if foreign and kind is not CONNECTOR:
            metadata = {key: desired["metadata"][key] for key in ("name", "namespace")}
            nulls: Object = {"metadata": metadata, "spec": dict.fromkeys(foreign)}
            written = self.api.merge(kind, nulls, dry_run=False)
        return written

    def delete(self, kind: Kind, name: str) -> None:
        """Delete one object."""
        self.api.delete(kind, self.namespace, name)

    def touch(self, kind: Kind, name: str, value: str, more: t.Mapping[str, str] | None = None) -> None:
        """Change an annotation of ours, so that the controller looks again and not only at its next round.

        :param more: annotations to be written with it.
        """
        annotations = {TOUCHED: value, **(more or {})}
        metadata = {"name": name, "namespace": self.namespace, "annotations": annotations}
        self.api.merge(kind, {"metadata": metadata}, dry_run=False, manager=TOUCH_MANAGER)

    def nudge(self, live: Object, value: str | None) -> None:
        """Change a setting that means nothing, or remove it: conditions are written for another spec only."""
        kind, metadata = kind_of(live), {key: live["metadata"][key] for key in ("name", "namespace")}
        alone = not set((live.get("spec") or {}).get("settings") or {}) - {TOUCHED}
        settings = None if value is None and alone else {TOUCHED: value}
        body: Object = {"metadata": metadata, "spec": {"settings": settings}}
        self.api.merge(kind, body, dry_run=False, manager=TOUCH_MANAGER)

    def has_version_1(self) -> bool:
        """Return whether version 1 has the namespace; ApiError when the server does not say."""
        try:
            self.api.request("GET", f"/api/v1/namespaces/{self.namespace}/configmaps/{VERSION_1}")
        except MissingPrerequisite:
            return False
        except ApiError as error:
            if error.status != 404:
                raise
            return False
        return True

    def workload_selector(self, workload: str) -> Object:
        """Return the selector of ``<kind>/<name>``."""
        return workload_selector(self.api, self.namespace, workload)

    def missing_controller(self) -> str | None:
        """Return what to do when no controller is deployed, None when there is one or nobody can tell."""
        if has_controller(self.api, self.namespace) is not False:
            return None
        return (
            f"no controller of Skupper was found at {self.api.host} (a Deployment with the label "
            f"{CONTROLLER_LABEL}); without one nothing becomes of what is written. Install it first "
            "(https://skupper.io/docs/install/index.html)"
        )

    def has_pods(self, selector: str) -> bool | None:
        """Return whether a pod matches; None when we may not look."""
        return has_pods(self.api, self.namespace, selector)


def _paths(found: t.Iterable[tuple[str, ...]]) -> list[str]:
    return sorted(".".join(path) for path in found)
