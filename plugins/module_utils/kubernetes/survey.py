# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""What a cluster is like and what it lacks: read only, apart from asking what we may do."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .client import Client
from .errors import ApiError, ClusterError, MissingPrerequisite
from .namespaces import is_ours
from .resources import RESOURCES, Object, Resource

#: Kubernetes before 1.25 lacks parts of what is written here.
OLDEST = (1, 25)
_DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class"
#: The archived controller of the published articles, and what is known of its end.
RETIRED = "k8s.io/ingress-nginx"
_TRAEFIK = ("traefik", "app.kubernetes.io/name=traefik")
#: Who serves a controller's classes: where it is installed when nobody says otherwise, and its pods' label.
CONTROLLERS = {
    # Traefik takes over the classes of ingress-nginx, where that is gone.
    RETIRED: (("ingress-nginx", "app.kubernetes.io/name=ingress-nginx"), _TRAEFIK),
    "nginx.org/ingress-controller": (("nginx-ingress", "app.kubernetes.io/name=nginx-ingress"),),
    "traefik.io/ingress-controller": (_TRAEFIK,),
    "haproxy.org/ingress-controller": (("haproxy-controller", "app.kubernetes.io/name=kubernetes-ingress"),),
    "openshift.io/ingress-to-route": (("openshift-ingress", ""),),
}


@dataclass
class Survey:
    """Answers about one cluster; every missing thing is a problem, none stops the others.

    :param namespace: where something is to be written.
    """

    client: Client
    namespace: str
    facts: dict[str, t.Any] = field(default_factory=dict)
    problems: list[dict[str, t.Any]] = field(default_factory=list)

    def problem(self, what: str, remedy: str, blocking: bool = True) -> None:
        """Note what is wrong."""
        self.problems.append({"what": what, "remedy": remedy, "blocking": blocking})

    def _items(self, path: str, selector: str = "") -> list[Object] | None:
        """Objects, None when they may not be read or are not known."""
        query = [("labelSelector", selector)] if selector else []
        try:
            return list(self.client.request("GET", path, query).get("items") or [])
        except (ApiError, MissingPrerequisite):
            return None

    def run(self, ingress_class: str | None, secrets: t.Mapping[str, str]) -> bool:
        """Look at everything; False when there is no cluster to look at."""
        try:
            version = self.client.request("GET", "/version")
            groups = self.client.request("GET", "/apis").get("groups") or []
        except ClusterError as error:
            self.problem(error.message, "see the message; nothing else of this cluster could be looked at")
            return False
        names = sorted(str(one["name"]) for one in groups)
        number = tuple(
            int("".join(filter(str.isdigit, version.get(key, "0"))) or 0) for key in ("major", "minor")
        )
        self.facts.update(
            host=self.client.host,
            version=version.get("gitVersion", ""),
            groups=names,
            openshift="route.openshift.io" in names and "security.openshift.io" in names,
        )
        if number < OLDEST:
            self.problem(
                f"the cluster at {self.client.host} is Kubernetes {version.get('gitVersion')}",
                f"use {'.'.join(map(str, OLDEST))} or newer",
            )
        self._look_at_namespace(secrets)
        self._look_at_ingress(ingress_class)
        self._look_at_network()
        self.facts["custom_metrics"] = self._custom_metrics(groups)
        return True

    def _look_at_namespace(self, secrets: t.Mapping[str, str]) -> None:
        try:
            live: Object | None = self.client.request("GET", f"/api/v1/namespaces/{self.namespace}")
        except ApiError as error:
            if error.status != 404:
                self.problem(error.message, "let this user read the namespace, or choose a context")
            live = None
        terminating = "deletionTimestamp" in ((live or {}).get("metadata") or {})
        self.facts["namespace"] = {
            "exists": live is not None,
            "ours": is_ours(live),
            "terminating": terminating,
        }
        if terminating:
            self.problem(
                f"namespace {self.namespace} is being removed",
                f"wait until it is gone: kubectl wait --for=delete namespace/{self.namespace}",
            )
        for name, key in secrets.items():
            self._look_at_secret(name, key, live is not None)

    def _look_at_secret(self, name: str, key: str, there: bool) -> None:
        path = f"/api/v1/namespaces/{self.namespace}/secrets/{name}"
        data: Object = {}
        try:
            data = self.client.request("GET", path).get("data") or {} if there else {}
        except ApiError as error:
            if error.status != 404:
                self.problem(error.message, f"let this user read Secret {name}")
                return
        if key not in data and (data or key):
            has = f"it has {', '.join(sorted(data))}" if data else "there is no such Secret"
            self.problem(
                f"Secret {name} in namespace {self.namespace} has no key {key}: {has}",
                f"kubectl -n {self.namespace} create secret generic {name} --from-file={key}=FILE",
            )

    def may_write(self, kinds: t.Iterable[str]) -> None:
        """Note each kind that this user may not write in the namespace."""
        refused = []
        for resource in (one for one in RESOURCES if one.kind in set(kinds)):
            if not self._allowed(resource):
                refused.append(resource.plural)
        if not self.facts["namespace"]["exists"] and not self._allowed(
            Resource("", "v1", "namespaces"), "create"
        ):
            self.problem(
                f"namespace {self.namespace} does not exist and this user may not create it",
                f"kubectl create namespace {self.namespace}",
            )
        if refused:
            self.problem(
                f"this user may not write in namespace {self.namespace}: {', '.join(refused)}",
                f"kubectl -n {self.namespace} create rolebinding chatbot --clusterrole=admin --user=USER",
            )

    def _allowed(self, resource: Resource, verb: str = "patch") -> bool:
        group = resource.api_version.partition("/")[0] if "/" in resource.api_version else ""
        asked = {"verb": verb, "group": group, "resource": resource.plural}
        if resource.plural != "namespaces":
            asked["namespace"] = self.namespace
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": asked},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = self.client.request("POST", path, body=body)
        return bool((answer.get("status") or {}).get("allowed"))

    def _look_at_ingress(self, wanted: str | None) -> None:
        """The class that counts, its controller, and where the controller's pods are."""
        classes = self._items("/apis/networking.k8s.io/v1/ingressclasses") or []
        by_name = {one["metadata"]["name"]: one for one in classes}
        defaults = [
            name
            for name, one in sorted(by_name.items())
            if (one["metadata"].get("annotations") or {}).get(_DEFAULT_CLASS) == "true"
        ]
        name = wanted or (defaults[0] if defaults else next(iter(by_name)) if len(by_name) == 1 else "")
        controller = str((by_name.get(name, {}).get("spec") or {}).get("controller") or "")
        self.facts["ingress"] = {
            "classes": sorted(by_name),
            "class": name if name in by_name else "",
            "controller": controller,
            **self._controller_pods(controller),
        }

    def _controller_pods(self, controller: str) -> dict[str, t.Any]:
        known = CONTROLLERS.get(controller, (("", ""),))
        looked = [(one, self._items("/api/v1/pods", one[1]) if one[1] else None) for one in known]
        server, pods = next(((one, there) for one, there in looked if there), (known[0], []))
        found = sorted({str(one["metadata"]["namespace"]) for one in pods})
        return {
            "namespaces": found or ([server[0]] if server[0] else []),
            "host_network": any((one.get("spec") or {}).get("hostNetwork") for one in pods),
            "addresses": sorted({str(one["status"]["podIP"]) for one in pods if one["status"].get("podIP")}),
            "retired": controller == RETIRED and server != _TRAEFIK,
        }

    def _look_at_network(self) -> None:
        """The networks of pods and the addresses of nodes, as far as they may be read."""
        nodes = self._items("/api/v1/nodes") or []
        pods = {network for one in nodes for network in (one.get("spec") or {}).get("podCIDRs") or []}
        addresses = {
            str(address["address"])
            for one in nodes
            for address in (one.get("status") or {}).get("addresses") or []
            if address.get("type") == "InternalIP"
        }
        for one in self._items("/apis/config.openshift.io/v1/networks") or []:
            ranges = (one.get("status") or {}).get("clusterNetwork") or []
            pods |= {str(each["cidr"]) for each in ranges if each.get("cidr")}
        self.facts["network"] = {"pods": sorted(pods), "nodes": sorted(addresses)}

    def _custom_metrics(self, groups: list[Object]) -> list[str]:
        """What an adapter serves, by the version that it prefers; nothing without one or while it is down."""
        served = [one for one in groups if one["name"] == "custom.metrics.k8s.io"]
        if not served:
            return []
        try:
            version = served[0]["preferredVersion"]["groupVersion"]
            found = self.client.request("GET", f"/apis/{version}").get("resources") or []
        except (ApiError, MissingPrerequisite):
            return []
        return sorted(str(one["name"]) for one in found)
