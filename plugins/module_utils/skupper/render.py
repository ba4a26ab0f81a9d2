# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""What is wanted, as an object: the CLI's rendering with what it cannot express added."""

from __future__ import annotations

import re
import typing as t

from .kinds import CONNECTOR, KUBERNETES, SITE, Kind
from .ownership import Object, is_zero

#: What the CLI lets through as --selector; others are merged.
_CLI_SELECTOR = re.compile(r"[A-Za-z0-9=:./-]+")
_CLI_LINK_ACCESS = ("default", "route", "loadbalancer")


def arguments(kind: Kind, platform: str, name: str, spec: t.Mapping[str, t.Any]) -> list[str]:
    """Return the arguments of the CLI that renders the object."""
    words = [kind.noun, "generate", name]
    if kind is SITE:
        access = spec.get("linkAccess", "none")
        if access != "none":
            words.append("--enable-link-access")
            if platform == KUBERNETES and access in _CLI_LINK_ACCESS:
                words += ["--link-access-type", access]
        if platform == KUBERNETES and spec.get("ha"):
            words.append("--enable-ha")
        return words
    words += [str(spec["port"]), "--routing-key", spec["routingKey"]]
    if spec.get("host"):
        words += ["--host", spec["host"]]
    if spec.get("tlsCredentials"):
        words += ["--tls-credentials", spec["tlsCredentials"]]
    if kind is CONNECTOR and platform == KUBERNETES and _CLI_SELECTOR.fullmatch(spec.get("selector") or ""):
        words += ["--selector", spec["selector"]]
    return words


def bare(kind: Kind, namespace: str, name: str) -> Object:
    """Return the object without a spec."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "metadata": {"name": name, "namespace": namespace},
    }


def complete(
    rendered: t.Mapping[str, t.Any], kind: Kind, params: t.Mapping[str, t.Any], spec: t.Mapping[str, t.Any]
) -> Object:
    """Return the rendered object with what the CLI cannot express: every field that says something.

    The CLI's own value stays only in fields that no option names, such as the type of a listener.
    """
    result: Object = {key: rendered[key] for key in ("apiVersion", "kind")}
    result["metadata"] = {key: rendered["metadata"][key] for key in ("name", "namespace")}
    for key in ("labels", "annotations"):
        if params.get(key):
            result["metadata"][key] = {name: str(value) for name, value in params[key].items()}
    merged = {key: value for key, value in (rendered.get("spec") or {}).items() if key not in kind.keys}
    merged.update(
        {key: value for key, value in spec.items() if not is_zero(value) and value != kind.zero(key)}
    )
    if merged:
        result["spec"] = merged
    return result


def predicted(kind: Kind, namespace: str, name: str) -> Object:
    """Return what the CLI would render apart from the options, for check mode on a host without it."""
    result = bare(kind, namespace, name)
    if kind is not SITE:
        result["spec"] = {"type": "tcp"}
    return result


def selector_text(selector: t.Mapping[str, t.Any]) -> str:
    """Return a workload's selector as the text that a Connector takes.

    :param selector: ``matchLabels`` and ``matchExpressions``, or the plain map of a Service.
    """
    labels = selector.get("matchLabels")
    expressions = selector.get("matchExpressions") or []
    if labels is None and not expressions:
        labels = selector
    words = [f"{key}={value}" for key, value in sorted((labels or {}).items())]
    for one in expressions:
        key, operator = one["key"], one["operator"]
        values = ",".join(sorted(one.get("values") or []))
        words.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": key,
                "DoesNotExist": f"!{key}",
            }[operator]
        )
    return ",".join(words)
