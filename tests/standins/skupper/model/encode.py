"""How Skupper writes resources: `clean` for what a person or a script reads, `complete` for its own files.

Both orders are alphabetical. `clean` leaves out every zero value of a map (not of a list's items), so that
a missing key means zero; `complete` is what Go's types write: an empty `status`, a `creationTimestamp` that
is null.
"""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from .kinds import KINDS, Resource

# What YAML 1.1 would read as something else than text; Go's library writes these in double quotes.
_NOT_TEXT = re.compile(
    r"""^(?:
        |~|null|Null|NULL
        |y|Y|n|N|yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF
        |[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?|[-+]?\.[0-9_]+(?:[eE][-+]?[0-9]+)?
        |0x[0-9a-fA-F_]+|0o?[0-7_]+|0b[01_]+
        |[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)
        |[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?
        |[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?
        |<<|=
    )$""",
    re.VERBOSE,
)


class _Dumper(yaml.SafeDumper):
    """PyYAML with the quoting of Go's library."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = None
    if "\n" in value:
        style = "|"
    elif _NOT_TEXT.match(value):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_LOADER):  # type: ignore[misc, valid-type]
    """YAML whose dates stay text, as they do in Kubernetes' resources."""


_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
    for first, pairs in _Loader.yaml_implicit_resolvers.items()
}


def read_documents(text: str) -> list[Any]:
    """The documents of a text that are not empty; JSON objects after each other are documents, too."""
    if not text.lstrip().startswith("{"):
        return [one for one in yaml.load_all(text, Loader=_Loader) if one is not None]
    found, decoder, rest = [], json.JSONDecoder(), text.lstrip()
    while rest:
        one, end = decoder.raw_decode(rest)
        found.append(one)
        rest = rest[end:].lstrip()
    return found


def _is_zero(value: Any) -> bool:
    return value is None or value is False or value == "" or value == 0 or value in ([], {})


def clean(value: Resource) -> Resource:
    """Without the zero values of maps."""
    kept: Resource = {}
    for key, one in value.items():
        if not _is_zero(one):
            kept[key] = clean(one) if isinstance(one, dict) else one
    return kept


def complete(one: Resource) -> Resource:
    """As Go's types write it: fields that must be there, an empty status, no time of creation."""
    kind = KINDS.get(str(one.get("kind")))
    written = dict(one)
    written["metadata"] = {"creationTimestamp": None, **clean(one.get("metadata") or {})}
    if kind is None:
        return written
    spec = {key: value for key, value in (one.get("spec") or {}).items() if key in kind.spec}
    written["spec"] = {**clean(spec), **{key: spec.get(key, kind.zero(key)) for key in kind.required}}
    written["status"] = one.get("status") or {}
    return written


def to_yaml(value: Any) -> str:
    """YAML as Go writes it."""
    return yaml.dump(
        value, Dumper=_Dumper, default_flow_style=False, sort_keys=True, width=1 << 30, allow_unicode=True
    )


def to_json(value: Any) -> str:
    """JSON as Go writes it: sorted, and safe inside of HTML."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def printed(one: Resource, output: str) -> str:
    """What a command with `-o yaml` or `-o json` prints for a resource, with the line's end that follows."""
    return (to_json(clean(one)) if output == "json" else to_yaml(clean(one))) + "\n"
