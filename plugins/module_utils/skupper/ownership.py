# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Who owns which field of an object: what we wrote is ours to change and to remove, all else stays.

On Kubernetes the API server keeps this in managedFields. Files have no such thing, so the keys of labels,
annotations and settings that we wrote are named in an annotation.
"""

from __future__ import annotations

import copy
import json
import typing as t

from .kinds import KINDS, Kind

#: Our name among the field managers of the API server.
FIELD_MANAGER = "private_ai.chatbot"
#: What the modules note on objects for themselves.
OWN_ANNOTATIONS = "private-ai.chatbot/"
#: Files only: the keys of maps that we wrote, as a JSON list of [map, key].
RECORD = f"{OWN_ANNOTATIONS}fields"

Object = dict[str, t.Any]
Path = tuple[str, ...]

_MAPS: tuple[Path, ...] = (("metadata", "labels"), ("metadata", "annotations"), ("spec", "settings"))


def kind_of(obj: t.Mapping[str, t.Any]) -> Kind:
    """Return the table's entry for an object, an empty one for kinds that the modules do not manage."""
    name = str(obj.get("kind", ""))
    return KINDS.get(name) or Kind(name, "", "", api_version=str(obj.get("apiVersion", "")))


def is_zero(value: t.Any) -> bool:
    """Return whether Go would leave the value out."""
    return value is None or value is False or value in ("", 0) or (value in ({}, []))


def clean(obj: t.Mapping[str, t.Any]) -> Object:
    """Return what a person means by the object: no status, no bookkeeping, no field that says nothing."""
    kind = kind_of(obj)
    metadata = obj.get("metadata") or {}
    kept = {key: metadata.get(key) for key in ("name", "namespace", "labels", "annotations")}
    spec = {
        key: value
        for key, value in (obj.get("spec") or {}).items()
        if not is_zero(value) and value != kind.zero(key)
    }
    found: Object = {
        "apiVersion": obj.get("apiVersion") or kind.api_version,
        "kind": obj.get("kind"),
        "metadata": {key: value for key, value in kept.items() if value},
    }
    if spec:
        found["spec"] = spec
    for key in ("data", "type"):  # of a Secret
        if obj.get(key):
            found[key] = obj[key]
    return found


def leaves(obj: t.Mapping[str, t.Any]) -> set[Path]:
    """Return the paths of the fields that somebody who writes ``obj`` owns; a list is one field."""
    found: set[Path] = set()

    def walk(value: t.Any, path: Path) -> None:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                walk(inner, (*path, key))
        elif path[0] not in ("apiVersion", "kind") and path not in (
            ("metadata", "name"),
            ("metadata", "namespace"),
        ):
            found.add(path)

    walk(dict(obj), ())
    return found


def owned(live: t.Mapping[str, t.Any], manager: str = FIELD_MANAGER) -> set[Path]:
    """Return the paths that the API server has noted as applied by ``manager``."""
    found: set[Path] = set()

    def walk(fields: t.Mapping[str, t.Any], path: Path) -> None:
        inner = {key[2:]: value for key, value in fields.items() if key.startswith("f:")}
        if not inner and path:
            found.add(path)
        for key, value in inner.items():
            walk(value, (*path, key))

    for entry in (live.get("metadata") or {}).get("managedFields") or []:
        if entry.get("manager") == manager and entry.get("operation") == "Apply":
            walk(entry.get("fieldsV1") or {}, ())
    return found


def value_at(obj: t.Mapping[str, t.Any], path: Path) -> t.Any:
    """Return the value at a path, None where there is none."""
    value: t.Any = obj
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return value


def foreign_fields(desired: t.Mapping[str, t.Any], live: t.Mapping[str, t.Any]) -> list[str]:
    """Return fields of the live spec that the desired object sets back by leaving them out."""
    kind, wanted, found = kind_of(desired), desired.get("spec") or {}, live.get("spec") or {}
    return sorted(
        key
        for key, value in found.items()
        if key in kind.keys and key not in wanted and not is_zero(value) and value != kind.zero(key)
    )


def is_settled(desired: t.Mapping[str, t.Any], live: t.Mapping[str, t.Any]) -> bool:
    """Return whether the live object of an API server has everything we want, and as ours."""
    wanted = leaves(desired)
    return (
        wanted == owned(live)
        and not foreign_fields(desired, live)
        and all(value_at(desired, path) == value_at(live, path) for path in wanted)
    )


def recorded(live: t.Mapping[str, t.Any]) -> set[Path]:
    """Return the keys of maps that the annotation of a file names as ours."""
    text = value_at(live, ("metadata", "annotations", RECORD))
    try:
        entries = json.loads(text) if isinstance(text, str) else []
        return {(*str(where).split("."), str(key)) for where, key in entries}
    except (ValueError, TypeError):
        return set()


def merge_file(desired: t.Mapping[str, t.Any], live: t.Mapping[str, t.Any] | None) -> Object:
    """Return the object to write: the desired one over what others wrote into the same file."""
    result: Object = copy.deepcopy(dict(live)) if live else {}
    result.pop("status", None)
    for key in foreign_fields(desired, live or {}):
        del result["spec"][key]
    ours = {
        (*where, key) for where in _MAPS for key in value_at(desired, where) or {} if isinstance(key, str)
    }
    for path in recorded(live or {}) - ours:
        holder = value_at(result, path[:-1])
        if isinstance(holder, dict):
            holder.pop(path[-1], None)
    _overlay(result, copy.deepcopy(dict(desired)))
    note = sorted([".".join(path[:-1]), path[-1]] for path in ours)
    annotations = result.setdefault("metadata", {}).setdefault("annotations", {})
    annotations.pop(RECORD, None)
    if note:
        annotations[RECORD] = json.dumps(note)
    for where in _MAPS:
        holder = value_at(result, where[:-1])
        if isinstance(holder, dict) and holder.get(where[-1]) == {}:
            del holder[where[-1]]
    return result


def _overlay(base: Object, top: Object) -> None:
    for key, value in top.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            _overlay(base[key], value)
        else:
            base[key] = value
