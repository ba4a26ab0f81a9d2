# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""What of an object is ours, what others added to it, and whether two of them mean the same.

The API server notes in managedFields who wrote which field.
"""

from __future__ import annotations

import copy
import json
import typing as t

Object = dict[str, t.Any]
Fields = dict[str, t.Any]
Path = tuple[str, ...]

_BOOKKEEPING = frozenset("creationTimestamp generation managedFields resourceVersion selfLink uid".split())
#: Where nobody else has anything to add to an object that is wholly ours.
_OURS = ("f:spec", "f:data", "f:binaryData")
#: Programs of the cluster that complete objects by writing to them, and not people who edit them.
_PROGRAMS = ("kube-", "openshift-", "cloud-controller", "ingress-operator", "cert-manager")
#: What the server allots, and what an autoscaler sets when we do not.
_ALLOTTED = frozenset(
    ("f:clusterIP", "f:clusterIPs", "f:ipFamilies", "f:ipFamilyPolicy", "f:healthCheckNodePort", "f:replicas")
)
HIDDEN = "(hidden)"
HIDDEN_CHANGED = "(hidden, another value)"


def comparable(obj: t.Mapping[str, t.Any]) -> Object:
    """Return the object without its status and without what only the server counts."""
    found = copy.deepcopy(dict(obj))
    found.pop("status", None)
    metadata = found.get("metadata") or {}
    for key in _BOOKKEEPING:
        metadata.pop(key, None)
    return found


def merged(first: Fields, second: t.Mapping[str, t.Any]) -> Fields:
    """Return the union of two field sets."""
    found = dict(first)
    for key, inner in second.items():
        found[key] = merged(found.get(key, {}), inner)
    return found


def fields_of(obj: t.Mapping[str, t.Any], manager: str, operation: str = "") -> Fields:
    """Return what the server notes as written by one manager."""
    found: Fields = {}
    for entry in (obj.get("metadata") or {}).get("managedFields") or []:
        if entry.get("manager") == manager and operation in ("", entry.get("operation")):
            found = merged(found, entry.get("fieldsV1") or {})
    return found


def is_same(before: t.Mapping[str, t.Any], after: t.Mapping[str, t.Any], manager: str) -> bool:
    """Return whether a write would change nothing, not even whose the fields are."""
    ours = [fields_of(one, manager, "Apply") for one in (before, after)]
    return ours[0] == ours[1] and comparable(before) == comparable(after)


def foreign_paths(obj: t.Mapping[str, t.Any], manager: str) -> list[Path]:
    """Return the fields that people or other programs added to what is ours."""
    ours = fields_of(obj, manager)
    found: set[Path] = set()

    def walk(theirs: Fields, own: Fields, path: Path) -> None:
        for key, inner in theirs.items():
            if key == "." or key in _ALLOTTED:
                continue
            if key not in own:
                found.add((*path, key))
            else:
                walk(inner, own[key], (*path, key))

    for entry in (obj.get("metadata") or {}).get("managedFields") or []:
        name = str(entry.get("manager") or "")
        if name == manager or name.startswith((f"{manager}.", *_PROGRAMS)) or entry.get("subresource"):
            continue
        for root in _OURS:
            theirs = (entry.get("fieldsV1") or {}).get(root)
            if theirs:
                walk(theirs, ours.get(root, {}), (root,))
    return sorted(found)


def without(obj: t.Mapping[str, t.Any], paths: t.Iterable[Path]) -> Object:
    """Return a copy without these fields."""
    found = copy.deepcopy(dict(obj))
    for path in paths:
        _remove(found, path)
    return found


def _remove(value: t.Any, path: Path) -> None:
    first, rest = path[0], path[1:]
    sort, text = first.partition(":")[::2]
    if sort == "f" and isinstance(value, dict) and text in value:
        if rest:
            _remove(value[text], rest)
        else:
            del value[text]
    elif sort in ("k", "v") and isinstance(value, list):
        wanted = json.loads(text)
        for item in [one for one in value if _matches(one, wanted, sort)]:
            if rest:
                _remove(item, rest)
            else:
                value.remove(item)


def _matches(item: t.Any, wanted: t.Any, sort: str) -> bool:
    if sort == "v":
        return bool(item == wanted)
    return isinstance(item, dict) and all(item.get(key) == value for key, value in wanted.items())


def hidden(
    before: t.Mapping[str, t.Any] | None, after: t.Mapping[str, t.Any] | None
) -> tuple[Object | None, Object | None]:
    """Return two versions of an object for a diff: of a Secret only that a value differs is to be seen."""
    shown: list[Object | None] = [None if one is None else comparable(one) for one in (before, after)]
    for number, one in enumerate(shown):
        if one is None or one.get("kind") != "Secret":
            continue
        other = (after if number == 0 else before) or {}
        for part in ("data", "stringData"):
            values = one.get(part) or {}
            for key, value in values.items():
                same = number == 0 or not other or (other.get(part) or {}).get(key) == value
                values[key] = HIDDEN if same else HIDDEN_CHANGED
    return shown[0], shown[1]
