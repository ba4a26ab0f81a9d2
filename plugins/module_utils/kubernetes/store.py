# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Objects of one namespace at the API server: read, tried, written, removed."""

from __future__ import annotations

from .client import APPLY_PATCH, Client
from .errors import ApiError, MissingPrerequisite
from .resources import Object, Resource, name_of

#: Part of a set: label and value.
SET_LABEL = "private-ai.chatbot/set"
MANAGED_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "private_ai.chatbot"


class Store:
    """One set's objects.

    :param manager: the field manager that writes them.
    """

    def __init__(self, client: Client, namespace: str, name: str, manager: str) -> None:
        self.client = client
        self.namespace = namespace
        self.name = name
        self.manager = manager

    def namespace_object(self) -> Object | None:
        """Return the namespace, None when there is none."""
        return self._get(f"/api/v1/namespaces/{self.namespace}")

    def get(self, resource: Resource, name: str) -> Object | None:
        """Return one object, None when there is none."""
        return self._get(resource.path(self.namespace, name))

    def _get(self, path: str) -> Object | None:
        try:
            return self.client.request("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def members(self, resource: Resource) -> dict[str, Object]:
        """Return the set's objects of one kind by name; none of a kind that the server does not know."""
        query = [("labelSelector", f"{SET_LABEL}={self.name}")]
        try:
            found = self.client.request("GET", resource.path(self.namespace), query).get("items") or []
        except MissingPrerequisite:
            return {}
        whole = [{"apiVersion": resource.api_version, "kind": resource.kind, **one} for one in found]
        # What a controller made from one of ours has its labels, and goes with it.
        return {name_of(one): one for one in whole if not one["metadata"].get("ownerReferences")}

    def apply(self, resource: Resource, body: Object, dry_run: bool, manager: str = "") -> Object:
        """Apply on the server's side."""
        query = [("fieldManager", manager or self.manager), ("force", "true")]
        return self._write("PATCH", resource.path(self.namespace, name_of(body)), query, body, dry_run)

    def replace(self, resource: Resource, body: Object, dry_run: bool) -> Object:
        """Replace an object by what was made from its present version."""
        query = [("fieldManager", self.manager)]
        return self._write("PUT", resource.path(self.namespace, name_of(body)), query, body, dry_run)

    def apply_namespace(self, body: Object, dry_run: bool) -> Object:
        """Apply the namespace."""
        query = [("fieldManager", self.manager), ("force", "true")]
        return self._write("PATCH", f"/api/v1/namespaces/{self.namespace}", query, body, dry_run)

    def _write(
        self, method: str, path: str, query: list[tuple[str, str]], body: Object, dry_run: bool
    ) -> Object:
        if dry_run:
            query = [*query, ("dryRun", "All")]
        sort = APPLY_PATCH if method == "PATCH" else "application/json"
        return self.client.request(method, path, query, body, sort)

    def delete(self, path: str) -> None:
        """Delete what is at a path; that it is gone already is no failure."""
        try:
            self.client.request("DELETE", path, [("propagationPolicy", "Background")])
        except ApiError as error:
            if error.status != 404:
                raise

    def end_pods(self, grace: int) -> None:
        """End the set's pods within ``grace`` seconds, once nothing starts them again."""
        query = [
            ("labelSelector", f"{SET_LABEL}={self.name}"),
            ("gracePeriodSeconds", str(grace)),
        ]
        self.client.request("DELETE", f"/api/v1/namespaces/{self.namespace}/pods", query)

    def pods(self, selector: str = "") -> list[Object]:
        """Return pods of the namespace, without a selector the set's."""
        query = [("labelSelector", selector or f"{SET_LABEL}={self.name}")]
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        return list(self.client.request("GET", path, query).get("items") or [])
