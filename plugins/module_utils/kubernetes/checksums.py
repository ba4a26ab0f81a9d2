# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Checksums of what a workload reads at its start, in its pod template: another value starts new pods."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import typing as t

Object = dict[str, t.Any]
Reference = tuple[str, str]

CHECKSUM = "private-ai.chatbot/checksum"
#: The checksum of a key is to be seen by whoever sees the pod; guessing has to stay expensive.
_ROUNDS = 100_000


def references(template: t.Mapping[str, t.Any]) -> list[Reference]:
    """Return (kind, name) of the ConfigMaps and Secrets that a pod template reads."""
    spec = template.get("spec") or {}
    found: set[Reference] = set()
    for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        for source in container.get("envFrom") or []:
            _add(found, "ConfigMap", source.get("configMapRef"), "name")
            _add(found, "Secret", source.get("secretRef"), "name")
        for variable in container.get("env") or []:
            value = variable.get("valueFrom") or {}
            _add(found, "ConfigMap", value.get("configMapKeyRef"), "name")
            _add(found, "Secret", value.get("secretKeyRef"), "name")
    for volume in spec.get("volumes") or []:
        _add(found, "ConfigMap", volume.get("configMap"), "name")
        _add(found, "Secret", volume.get("secret"), "secretName")
    return sorted(found)


def _add(found: set[Reference], kind: str, source: t.Any, key: str) -> None:
    if isinstance(source, dict) and source.get(key):
        found.add((kind, str(source[key])))


def content(obj: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Return the values of a ConfigMap or Secret, a Secret's decoded."""
    values = {key: str(value) for key, value in (obj.get("data") or {}).items()}
    if obj.get("kind") == "Secret":
        values = {
            key: base64.b64decode(value).decode("utf-8", "surrogateescape") for key, value in values.items()
        }
        values.update({key: str(value) for key, value in (obj.get("stringData") or {}).items()})
    return values


def checksum(parts: t.Mapping[Reference, t.Mapping[str, str]], salt: str) -> str:
    """Return a short checksum of all of them."""
    whole = json.dumps([[*key, parts[key]] for key in sorted(parts)], sort_keys=True)
    made = hashlib.pbkdf2_hmac("sha256", whole.encode("utf-8", "surrogateescape"), salt.encode(), _ROUNDS, 12)
    return made.hex()


def stamped(
    obj: t.Mapping[str, t.Any], parts: t.Mapping[Reference, t.Mapping[str, str]], salt: str
) -> Object:
    """Return the workload with the checksum in its pod template."""
    found = copy.deepcopy(dict(obj))
    metadata = found["spec"]["template"].setdefault("metadata", {})
    metadata["annotations"] = {**(metadata.get("annotations") or {}), CHECKSUM: checksum(parts, salt)}
    return found
