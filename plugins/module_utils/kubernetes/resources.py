# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""The kinds that a set of objects can hold, and their paths."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .errors import InvalidValue

Object = dict[str, t.Any]


@dataclass(frozen=True)
class Resource:
    """One kind.

    :param plural: its name in the API's paths.
    """

    kind: str
    api_version: str
    plural: str

    def path(self, namespace: str, name: str = "") -> str:
        """Return the path of an object, or of all of the kind in the namespace."""
        group = "/api/v1" if self.api_version == "v1" else f"/apis/{self.api_version}"
        return f"{group}/namespaces/{namespace}/{self.plural}" + (f"/{name}" if name else "")


#: In the order in which they are written: what others need comes first. They are removed from the end.
RESOURCES = (
    Resource("ServiceAccount", "v1", "serviceaccounts"),
    Resource("Secret", "v1", "secrets"),
    Resource("ConfigMap", "v1", "configmaps"),
    Resource("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies"),
    Resource("ImageStream", "image.openshift.io/v1", "imagestreams"),
    Resource("BuildConfig", "build.openshift.io/v1", "buildconfigs"),
    Resource("Service", "v1", "services"),
    Resource("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets"),
    Resource("Deployment", "apps/v1", "deployments"),
    Resource("HorizontalPodAutoscaler", "autoscaling/v2", "horizontalpodautoscalers"),
    Resource("Ingress", "networking.k8s.io/v1", "ingresses"),
    Resource("Route", "route.openshift.io/v1", "routes"),
    Resource("HTTPRoute", "gateway.networking.k8s.io/v1", "httproutes"),
    Resource("PodMonitor", "monitoring.coreos.com/v1", "podmonitors"),
    Resource("ServiceMonitor", "monitoring.coreos.com/v1", "servicemonitors"),
    Resource("PrometheusRule", "monitoring.coreos.com/v1", "prometheusrules"),
)
_BY_KIND = {one.kind: one for one in RESOURCES}


def resource_of(obj: t.Mapping[str, t.Any]) -> Resource:
    """Return the entry for an object; InvalidValue for a kind that a set cannot hold."""
    kind, version = str(obj.get("kind") or ""), str(obj.get("apiVersion") or "")
    found = _BY_KIND.get(kind)
    if found is None or found.api_version != version:
        known = ", ".join(f"{one.kind} ({one.api_version})" for one in RESOURCES)
        raise InvalidValue(f"objects: {kind or 'an object'} ({version}) is not known; known are {known}")
    return found


def name_of(obj: t.Mapping[str, t.Any]) -> str:
    """Return an object's name."""
    return str((obj.get("metadata") or {}).get("name") or "")


def title(obj: t.Mapping[str, t.Any]) -> str:
    """Return Kind/name."""
    return f"{obj.get('kind')}/{name_of(obj)}"
