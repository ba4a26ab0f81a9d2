# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Skupper's objects at a Kubernetes API server.

Paths are built from the table of kinds, so that no discovery is needed: an unchanged object costs one
request.
"""

from __future__ import annotations

import typing as t

from ..kubernetes.client import (
    APPLY_PATCH,
    MERGE_PATCH,
    Client,
    connected,
    explain,
    load_library,
    sensitive_values,
)
from .errors import ApiError, MissingPrerequisite, SkupperError
from .kinds import Kind
from .ownership import FIELD_MANAGER, Object


def path_of(kind: Kind, namespace: str, name: str = "") -> str:
    """Return the path of an object, or of all of a kind in the namespace."""
    group = "/api/v1" if kind.api_version == "v1" else f"/apis/{kind.api_version}"
    return f"{group}/namespaces/{namespace}/{kind.plural}" + (f"/{name}" if name else "")


class Api(Client):
    """The client, with Skupper's kinds."""

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """Return one object, None when it does not exist."""
        try:
            return self.request("GET", path_of(kind, namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def all(self, kind: Kind, namespace: str) -> list[Object]:
        """Return the objects of a kind in a namespace, each with its apiVersion and kind."""
        found = self.request("GET", path_of(kind, namespace)).get("items") or []
        return [{"apiVersion": kind.api_version, "kind": kind.name, **one} for one in found]

    def apply(self, kind: Kind, body: Object, dry_run: bool) -> Object:
        """Apply on the server's side as our field manager."""
        query = [("fieldManager", FIELD_MANAGER), ("force", "true")]
        return self._patch(kind, body, query, APPLY_PATCH, dry_run)

    def merge(self, kind: Kind, body: Object, dry_run: bool, manager: str = FIELD_MANAGER) -> Object:
        """Merge into an object that exists; null removes a field whoever owns it."""
        return self._patch(kind, body, [("fieldManager", manager)], MERGE_PATCH, dry_run)

    def _patch(
        self, kind: Kind, body: Object, query: list[tuple[str, str]], content_type: str, dry_run: bool
    ) -> Object:
        metadata = body["metadata"]
        if dry_run:
            query = [*query, ("dryRun", "All")]
        path = path_of(kind, metadata["namespace"], metadata["name"])
        return self.request("PATCH", path, query, body, content_type)

    def delete(self, kind: Kind, namespace: str, name: str) -> None:
        """Delete an object; that it is gone already is no failure."""
        try:
            self.request("DELETE", path_of(kind, namespace, name), [("propagationPolicy", "Background")])
        except ApiError as error:
            if error.status != 404:
                raise


def connect(params: t.Mapping[str, t.Any]) -> Api:
    """Return the client for the connection options; ImportError without the kubernetes library."""
    return connected(Api, params)


#: What others of this package need of the client.
__all__ = ["Api", "connect", "explain", "load_library", "path_of", "sensitive_values"]

#: On the controller's Deployment, however it was installed.
CONTROLLER_LABEL = "app.kubernetes.io/name=skupper-controller"

WORKLOADS = {
    "deployment": ("/apis/apps/v1", "deployments"),
    "statefulset": ("/apis/apps/v1", "statefulsets"),
    "daemonset": ("/apis/apps/v1", "daemonsets"),
    "service": ("/api/v1", "services"),
}


def workload_selector(api: Api, namespace: str, workload: str) -> Object:
    """Return the selector of ``<kind>/<name>``; MissingPrerequisite when it is not there."""
    kind, _slash, name = workload.partition("/")
    group, plural = WORKLOADS[kind]
    try:
        found = api.request("GET", f"{group}/namespaces/{namespace}/{plural}/{name}")
    except ApiError as error:
        if error.status == 404:
            raise MissingPrerequisite(
                f"workload {workload} does not exist in namespace {namespace}; deploy it before its "
                "connector, or "
                "give the option selector instead"
            ) from error
        raise
    selector = (found.get("spec") or {}).get("selector") or {}
    if not selector:
        raise SkupperError(
            f"workload {workload} in namespace {namespace} has no selector; give the option selector"
        )
    return t.cast(Object, selector)


def has_controller(api: Api, namespace: str) -> bool | None:
    """Return whether Skupper's controller is deployed; None when we may not look everywhere."""
    query = [("labelSelector", CONTROLLER_LABEL), ("limit", "1")]
    try:
        return bool(api.request("GET", "/apis/apps/v1/deployments", query).get("items"))
    except ApiError:
        pass
    try:
        # One that was installed for this namespace alone.
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
        return bool(api.request("GET", path, query).get("items")) or None
    except ApiError:
        return None


def has_pods(api: Api, namespace: str, selector: str) -> bool | None:
    """Return whether a pod matches; None when we may not look."""
    try:
        query = [("labelSelector", selector), ("limit", "1")]
        return bool(api.request("GET", f"/api/v1/namespaces/{namespace}/pods", query).get("items"))
    except ApiError:
        return None
