"""CustomResourceDefinitions for the tests: small ones made from `kinds`, or the real ones of a directory.

SKUPPER_TEST_CRDS names such a directory. The small ones have the names, fields and types that the
collection deals with, and prune everything else as the real ones do; they have no printer columns and no
descriptions.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .encode import read_documents
from .kinds import GROUP, KINDS, VERSION, Fields, Kind

CONDITION: Fields = {
    "type": "string",
    "status": "string",
    "reason": "string",
    "message": "string",
    "observedGeneration": "integer",
    "lastTransitionTime": "string",
}
COMMON_STATUS: Fields = {"status": "string", "message": "string", "conditions": [CONDITION]}


def _schema(type_: Any) -> dict[str, Any]:
    if isinstance(type_, list):
        return {"type": "array", "items": _schema(type_[0])}
    if isinstance(type_, dict):
        schema = {"type": "object", "properties": {name: _schema(one) for name, one in type_.items()}}
        return (
            {**schema, "required": sorted(type_.keys() - {"observedGeneration"})}
            if type_ is CONDITION
            else schema
        )
    if type_ == "strings":
        return {"type": "array", "items": {"type": "string"}}
    if type_ == "map":
        return {"type": "object", "additionalProperties": {"type": "string"}}
    if type_ == "object":
        return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {"type": type_}


def definition(kind: Kind) -> dict[str, Any]:
    """The small definition of a kind."""
    spec = _schema(kind.spec)
    if kind.required:
        spec["required"] = list(kind.required)
    status = _schema({**COMMON_STATUS, **(kind.status or {})})
    schema = {"type": "object", "properties": {"spec": spec, "status": status}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def definitions() -> list[dict[str, Any]]:
    """The definitions to test with."""
    folder = os.environ.get("SKUPPER_TEST_CRDS")
    if not folder:
        return [definition(kind) for kind in KINDS.values()]
    found = [
        one
        for path in sorted(Path(folder).glob("*.y*ml"))
        for one in read_documents(path.read_text(encoding="utf-8"))
        if one.get("kind") == "CustomResourceDefinition"
    ]
    if not found:
        raise ValueError(
            f"SKUPPER_TEST_CRDS={folder} has no CustomResourceDefinition; name the directory of Skupper's"
        )
    return found
