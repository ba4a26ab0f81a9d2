# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""What a namespace gives to somebody who helps, as :mod:`support` does for a host; no Secret is read."""

from __future__ import annotations

import json
import typing as t
from urllib.parse import quote

from ..kubernetes.client import Client
from ..kubernetes.errors import ClusterError
from .support import Facts, redact, setting, shown

#: By these the pods of a site's router are known.
ROUTER = "skupper.io/component=router"


class ClusterCollector:
    """One namespace, and that of its Skupper site; what cannot be read is a file that says why.

    :param skupper: the namespace of the site; empty without one.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        log_lines: int,
        keys: t.Sequence[str] = (),
        skupper: str = "",
    ) -> None:
        self.client = client
        self.namespace = namespace
        self.name = name
        self.log_lines = log_lines
        self.keys = keys
        self.skupper = skupper

    def files(self) -> dict[str, str]:
        """Return the files by their names."""
        found: dict[str, str] = {}
        self._add(found, "kubernetes/version.json", self._version)
        self._add(found, "kubernetes/settings.json", self._settings)
        self._add(found, "kubernetes/events.txt", self._events, self.namespace)
        chatbot = f"app.kubernetes.io/name=private-ai-chatbot,app.kubernetes.io/instance={self.name}"
        self._pods(found, "chatbot", self.namespace, chatbot)
        if self.skupper:
            if self.skupper != self.namespace:
                self._add(found, "kubernetes/skupper-events.txt", self._events, self.skupper)
            self._pods(found, "skupper", self.skupper, ROUTER)
        return found

    def _add(self, found: dict[str, str], name: str, read: t.Callable[..., str], *arguments: t.Any) -> None:
        try:
            text = read(*arguments)
        except ClusterError as error:
            text = f"not available: {error.message}"
        found[name] = redact(text, self.keys)

    def _get(self, namespace: str, what: str, query: t.Sequence[tuple[str, str]] = ()) -> t.Any:
        return self.client.request("GET", f"/api/v1/namespaces/{quote(namespace)}/{what}", query)

    def _version(self) -> str:
        return json.dumps(self.client.request("GET", "/version"), indent=1)

    def _settings(self) -> str:
        data = self._get(self.namespace, f"configmaps/{quote(self.name)}").get("data") or {}
        return json.dumps({name: setting(name, str(value)) for name, value in data.items()}, indent=1)

    def _events(self, namespace: str) -> str:
        lines = []
        for one in self._get(namespace, "events", [("limit", "500")]).get("items") or []:
            when = (
                one.get("lastTimestamp") or one.get("eventTime") or one["metadata"].get("creationTimestamp")
            )
            about = one.get("involvedObject") or {}
            what = f"{one.get('type')} {one.get('reason')} {about.get('kind')}/{about.get('name')}"
            lines.append(f"{when} {what} ({one.get('count') or 1} times): {one.get('message')}")
        return "\n".join(sorted(lines)) + "\n"

    def _pods(self, found: dict[str, str], what: str, namespace: str, selector: str) -> None:
        try:
            pods = self._get(namespace, "pods", [("labelSelector", selector)]).get("items") or []
        except ClusterError as error:
            found[f"kubernetes/{what}-pods.json"] = redact(f"not available: {error.message}", self.keys)
            return
        told = json.dumps([pod_state(pod) for pod in pods], indent=1)
        found[f"kubernetes/{what}-pods.json"] = redact(told, self.keys)
        for pod in pods:
            for status in (pod.get("status") or {}).get("containerStatuses") or []:
                name, container = pod["metadata"]["name"], status["name"]
                self._add(found, f"logs/{name}-{container}.log", self._log, namespace, name, container, False)
                if status.get("restartCount"):
                    before = f"logs/{name}-{container}.before.log"
                    self._add(found, before, self._log, namespace, name, container, True)

    def _log(self, namespace: str, pod: str, container: str, previous: bool) -> str:
        query = [("container", container), ("tailLines", str(self.log_lines))]
        said: t.Any = self._get(
            namespace, f"pods/{quote(pod)}/log", query + [("previous", "true")] * previous
        )
        # One line of JSON is read as such.
        text = said if isinstance(said, str) else json.dumps(said) if said else ""
        return shown(text)


def pod_state(pod: Facts) -> Facts:
    """Return what may be shown of a pod: its environment is not."""
    status = pod.get("status") or {}
    return {
        "name": pod["metadata"]["name"],
        "node": (pod.get("spec") or {}).get("nodeName"),
        "phase": status.get("phase"),
        "started": status.get("startTime"),
        "conditions": [
            {name: one.get(name) for name in ("type", "status", "reason", "message")}
            for one in status.get("conditions") or []
        ],
        "containers": [
            {name: one.get(name) for name in ("name", "image", "ready", "restartCount", "state", "lastState")}
            for one in [
                *(status.get("initContainerStatuses") or []),
                *(status.get("containerStatuses") or []),
            ]
        ],
    }
