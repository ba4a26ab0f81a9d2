# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""A set of objects that belong together: what is wanted, what is there, what has to be written or removed.

Nothing is written here but by :func:`execute`.
"""

from __future__ import annotations

import copy
import typing as t
from dataclasses import dataclass

from . import checksums
from .compare import comparable, fields_of, foreign_paths, hidden, is_same, without
from .errors import ClusterError, InvalidValue, MissingPrerequisite
from .resources import RESOURCES, Object, Resource, name_of, resource_of, title
from .store import MANAGED_BY, MANAGED_LABEL, SET_LABEL, Store

#: Holds the number of replicas between us and an autoscaler, so that it never falls to one on the way.
HANDOVER = "handover"


@dataclass
class Change:
    """One object's way from ``before`` to ``after``; None where there is none."""

    resource: Resource
    name: str
    before: Object | None
    after: Object | None
    desired: Object | None = None

    @property
    def action(self) -> str:
        """created, changed or removed."""
        if self.after is None:
            return "removed"
        return "created" if self.before is None else "changed"

    @property
    def title(self) -> str:
        """Kind/name."""
        return f"{self.resource.kind}/{self.name}"


def completed(objects: t.Sequence[Object], namespace: str, name: str) -> list[Object]:
    """Return the objects with namespace and labels of the set, in the order in which they are written."""
    order = {one.kind: number for number, one in enumerate(RESOURCES)}
    found: dict[str, Object] = {}
    for one in objects:
        resource_of(one)
        if not name_of(one):
            raise InvalidValue(f"objects: a {one['kind']} has no metadata.name")
        metadata = dict(one["metadata"])
        if metadata.get("namespace", namespace) != namespace:
            raise InvalidValue(
                f"objects: {title(one)} is for namespace {metadata['namespace']}, not for {namespace}; "
                "a set is in one namespace"
            )
        if title(one) in found:
            raise InvalidValue(f"objects: {title(one)} is there twice")
        labels = {**(metadata.get("labels") or {}), MANAGED_LABEL: MANAGED_BY, SET_LABEL: name}
        whole = copy.deepcopy({**one, "metadata": {**metadata, "namespace": namespace, "labels": labels}})
        if one["kind"] == "Deployment":
            template = whole["spec"]["template"].setdefault("metadata", {})
            template["labels"] = {**(template.get("labels") or {}), SET_LABEL: name}
        found[title(one)] = whole
    return sorted(found.values(), key=lambda one: order[one["kind"]])


class Planner:
    """Decides for one set.

    :param ask: whether the server can be asked what a write would do: not before its namespace is there.
    :param excuse: raises, or in check mode accepts, that a kind is not known to the server yet.
    """

    def __init__(self, store: Store, ask: bool, excuse: t.Callable[[MissingPrerequisite], None]) -> None:
        self.store = store
        self.ask = ask
        self.excuse = excuse

    def plan(self, desired: t.Sequence[Object], prune: bool) -> list[Change]:
        """Return what has to be done: writes in their order, then removals from the end."""
        kinds = {one["kind"] for one in desired}
        live: dict[str, dict[str, Object]] = {}
        for resource in RESOURCES:
            if self.ask and (prune or resource.kind in kinds):
                live[resource.kind] = self.store.members(resource)
        changes: list[Change] = []
        for one in self._stamped(desired, live):
            resource = resource_of(one)
            try:
                before = live.get(resource.kind, {}).get(name_of(one)) or self._unlabelled(resource, one)
                changes += self._write(resource, one, before)
            except MissingPrerequisite as error:
                self.excuse(error)
                changes.append(Change(resource, name_of(one), None, comparable(one), one))
        wanted = {title(one) for one in desired}
        if prune:
            for resource in reversed(RESOURCES):
                for name, one in live.get(resource.kind, {}).items():
                    if title(one) not in wanted:
                        changes.append(Change(resource, name, one, None))
        return changes

    def _unlabelled(self, resource: Resource, desired: Object) -> Object | None:
        """An object of this name that lacks our label: ours when we wrote it, otherwise nobody's to take."""
        if not self.ask:
            return None
        found = self.store.get(resource, name_of(desired))
        if found is None or fields_of(found, self.store.manager):
            return found
        raise ClusterError(
            f"{title(desired)} in namespace {self.store.namespace} is there already and was made by somebody "
            f"else; choose another name, or remove it: kubectl -n {self.store.namespace} delete "
            f"{resource.plural} {name_of(desired)}"
        )

    def _write(self, resource: Resource, desired: Object, before: Object | None) -> list[Change]:
        if before is None:
            if self.ask:
                self.store.apply(resource, desired, dry_run=True)
            return [Change(resource, name_of(desired), None, comparable(desired), desired)]
        after = self.store.apply(resource, desired, dry_run=True)
        if is_handed_over(desired):
            after["spec"]["replicas"] = before["spec"].get("replicas", 1)
        foreign = foreign_paths(after, self.store.manager)
        if foreign:
            after = self.store.replace(resource, without(after, foreign), dry_run=True)
        if not foreign and is_same(before, after, self.store.manager):
            return []
        return [Change(resource, name_of(desired), before, after, desired)]

    def _stamped(
        self, desired: t.Sequence[Object], live: t.Mapping[str, t.Mapping[str, Object]]
    ) -> t.Iterator[Object]:
        """Yield the objects, workloads with the checksum of what they read."""
        own = {(one["kind"], name_of(one)): one for one in desired}
        for one in desired:
            if one["kind"] != "Deployment":
                yield one
                continue
            parts: dict[checksums.Reference, dict[str, str]] = {}
            for reference in checksums.references(one["spec"]["template"]):
                kind, name = reference
                source = own.get(reference) or live.get(kind, {}).get(name)
                if source is None and self.ask:
                    source = self.store.get(Resource(kind, "v1", f"{kind.lower()}s"), name)
                parts[reference] = checksums.content({"kind": kind, **(source or {})})
            yield checksums.stamped(one, parts, f"{self.store.namespace}/{name_of(one)}")


def is_handed_over(desired: t.Mapping[str, t.Any]) -> bool:
    """Return whether the object leaves the number of its replicas to an autoscaler."""
    return desired.get("kind") == "Deployment" and "replicas" not in desired["spec"]


def execute(store: Store, change: Change) -> None:
    """Do one change: the only place where objects of a set are written."""
    resource, desired = change.resource, change.desired
    if desired is None:
        store.delete(resource.path(store.namespace, change.name))
        return
    if change.before is not None and is_handed_over(desired):
        held: Object = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": change.name, "namespace": store.namespace},
            "spec": {"replicas": change.before["spec"].get("replicas", 1)},
        }
        store.apply(resource, held, False, manager=f"{store.manager}.{HANDOVER}")
    after = store.apply(resource, desired, dry_run=False)
    foreign = foreign_paths(after, store.manager)
    if foreign:
        store.replace(resource, without(after, foreign), dry_run=False)


def diff_of(changes: t.Sequence[Change]) -> dict[str, Object]:
    """Return the diff of all changes, by Kind/name, without any secret."""
    found: dict[str, Object] = {"before": {}, "after": {}}
    for change in changes:
        before, after = hidden(change.before, change.after)
        if before is not None:
            found["before"][change.title] = before
        if after is not None:
            found["after"][change.title] = after
    return found
