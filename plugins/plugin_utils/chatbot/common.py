# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names and labels that the chatbot's objects share."""

from __future__ import annotations

import typing as t

Object = dict[str, t.Any]
Settings = t.Mapping[str, t.Any]

HTTP = "http"
METRICS = "metrics"
OPENSHIFT = "openshift"


def labels(settings: Settings) -> dict[str, str]:
    """Return what names the application; selectors use these and no others."""
    return {
        "app.kubernetes.io/name": "private-ai-chatbot",
        "app.kubernetes.io/instance": str(settings["name"]),
        "app.kubernetes.io/component": "chatbot",
    }


def obj(settings: Settings, api_version: str, kind: str, suffix: str = "", **parts: t.Any) -> Object:
    """Return an object of the application; None parts are left out."""
    annotations = parts.pop("annotations", None)
    metadata: Object = {"name": f"{settings['name']}{suffix}", "labels": labels(settings)}
    if annotations:
        metadata["annotations"] = {key: str(value) for key, value in annotations.items()}
    whole: Object = {"apiVersion": api_version, "kind": kind, "metadata": metadata}
    whole.update({key: value for key, value in parts.items() if value is not None})
    return whole
