"""Stand-in for what Skupper's controller does that the modules wait for.

These are conditions, link access, grants and redemption. As the real one it calls spent grants ready, tries
tokens that fail again and again, counts a redemption before it makes the link, and configures a link only
when somebody has touched it.

It looks every tenth of a second, in some namespaces only.
"""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Iterable
from typing import Any

from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.api import Api, path_of
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.conditions import is_true
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.errors import SkupperError
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import (
    ACCESS_GRANT,
    ACCESS_TOKEN,
    CONNECTOR,
    LINK,
    LISTENER,
    ROUTER_ACCESS,
    SECRET,
    SITE,
    Kind,
)

MERGE = "application/merge-patch+json"
Object = dict[str, Any]


def condition(kind: str, message: str, obj: Object, error: bool = False) -> Object:
    """A condition that holds when its message is OK."""
    good = message == "OK"
    return {
        "type": kind,
        "status": "True" if good else "False",
        "reason": "Ready" if good else "Error" if error else "Pending",
        "message": message,
        "observedGeneration": obj["metadata"]["generation"],
        "lastTransitionTime": "2026-11-20T18:00:00Z",
    }


class Controller:
    """Runs in a thread until stopped."""

    def __init__(self, api: Api, namespaces: Iterable[str]) -> None:
        self._api = api
        self.namespaces = list(namespaces)
        self.rounds = 0
        self.grants: dict[str, Object] = {}
        self.attempts = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def settle(self) -> None:
        """Return when everything that is there now was looked at."""
        wanted = self.rounds + 2
        while self.rounds < wanted:
            time.sleep(0.05)

    def stop(self) -> None:
        """End it."""
        self._end.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._end.wait(0.1):
            for namespace in self.namespaces:
                try:
                    self._look(namespace)
                except SkupperError:
                    continue  # changed or removed meanwhile: the next round sees it
            self.rounds += 1

    def _look(self, namespace: str) -> None:
        sites = self._api.all(SITE, namespace)
        for site in sites:
            self._site(site)
        for kind in (LISTENER, CONNECTOR):
            for one in self._api.all(kind, namespace):
                if not sites:
                    found = condition("Configured", "No active site in namespace", one, error=True)
                elif kind is CONNECTOR and one["spec"].get("selector"):
                    continue  # no pod ever matches here
                else:
                    found = condition("Configured", "OK", one)
                self._say(kind, one, [found])
        for one in self._api.all(ACCESS_GRANT, namespace):
            self._grant(one)
        for one in self._api.all(ACCESS_TOKEN, namespace):
            self._redeem(one)
        for one in self._api.all(LINK, namespace):
            if one["metadata"].get("annotations"):
                states = [condition(kind, "OK", one) for kind in ("Configured", "Operational", "Ready")]
                self._say(LINK, one, states)

    def _grant(self, grant: Object) -> None:
        uid = grant["metadata"]["uid"]
        found = [condition(kind, "OK", grant) for kind in ("Processed", "Resolved", "Ready")]
        if uid not in self.grants:
            window = int(grant["spec"]["expirationWindow"].rstrip("m")) * 60
            until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=window)
            self.grants[uid] = {
                "url": f"https://grants.invalid:9090/{uid}",
                "code": f"code-of-{uid}",
                "ca": "a certificate",
                "expirationTime": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "redemptions": 0,
                "allowed": grant["spec"].get("redemptionsAllowed", 1),
            }
        more = {key: value for key, value in self.grants[uid].items() if key != "allowed"}
        self._say(ACCESS_GRANT, grant, found, more)

    def _redeem(self, token: Object) -> None:
        if is_true(token, "Redeemed"):
            return
        self.attempts += 1
        metadata, spec = token["metadata"], token["spec"]
        grant = self.grants.get(spec["url"].rpartition("/")[2])
        message = "OK"
        if grant is None:
            message = "Controller got failed response: 404 (Not Found) No such claim"
        elif grant["redemptions"] >= grant["allowed"]:
            message = "Controller got failed response: 404 (Not Found) No such access granted"
        elif spec["code"] != grant["code"]:
            message = "Controller got failed response: 403 (Forbidden) Redemption of access token refused"
        else:
            grant["redemptions"] += 1
            message = self._make_link(metadata["namespace"], metadata["name"], spec.get("linkCost", 0))
        self._say(ACCESS_TOKEN, token, [condition("Redeemed", message, token, error=True)])

    def _make_link(self, namespace: str, name: str, cost: int) -> str:
        metadata = {"name": name, "namespace": namespace}
        data = dict.fromkeys(("ca.crt", "tls.crt", "tls.key"), "a2V5")
        secret = {"metadata": metadata, "type": "kubernetes.io/tls", "data": data}
        spec = {
            "cost": cost,
            "tlsCredentials": name,
            "endpoints": [{"name": "edge", "host": "10.0.0.9", "port": "45671"}],
        }
        link = {"apiVersion": LINK.api_version, "kind": LINK.name, "metadata": metadata, "spec": spec}
        try:
            self._api.request("POST", path_of(SECRET, namespace), body=secret)
        except SkupperError:
            return f'Controller could not create received secret: secrets "{name}" already exists'
        self._api.request("POST", path_of(LINK, namespace), body=link)
        return "OK"

    def _site(self, site: Object) -> None:
        conditions = [condition("Configured", "OK", site), condition("Running", "OK", site)]
        namespace = site["metadata"]["namespace"]
        if (site.get("spec") or {}).get("linkAccess", "none") not in ("", "none"):
            # Left behind when link access is taken away, as the real one does.
            if self._api.get(ROUTER_ACCESS, namespace, "skupper-router") is None:
                self._access(namespace)
            conditions.append(condition("Resolved", "OK", site))
        self._say(SITE, site, [*conditions, condition("Ready", "OK", site)])

    def _access(self, namespace: str) -> None:
        metadata = {
            "name": "skupper-router",
            "namespace": namespace,
            "annotations": {"internal.skupper.io/controlled": "true"},
        }
        body = {
            "apiVersion": ROUTER_ACCESS.api_version,
            "kind": ROUTER_ACCESS.name,
            "metadata": metadata,
            "spec": {"roles": [{"name": "edge", "port": 45671}], "tlsCredentials": "skupper-site-server"},
        }
        self._api.request("POST", path_of(ROUTER_ACCESS, namespace), body=body)

    def _say(self, kind: Kind, one: Object, conditions: list[Object], more: Object | None = None) -> None:
        told = one.get("status") or {}
        if told.get("conditions") == conditions and all(
            told.get(key) == each for key, each in (more or {}).items()
        ):
            return
        metadata = one["metadata"]
        path = path_of(kind, metadata["namespace"], metadata["name"]) + "/status"
        last = {"status": conditions[-1]["reason"], "message": conditions[-1]["message"]}
        status = {"conditions": conditions, **last, **(more or {})}
        self._api.request("PATCH", path, body={"status": status}, content_type=MERGE)
