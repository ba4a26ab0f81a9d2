"""What the routers see becomes the status of sites, links, listeners and connectors."""

from __future__ import annotations

import json
from typing import Any

from ..kube import Object
from ..model import conditions
from ..model.kinds import name_of, status_of
from ..router.adaptor import STATUS_MAP
from .parts import Parts
from .world import own_copy


def _put(one: Object, type_: str, ok: bool, message: str) -> None:
    """Set a condition only when what it says changes: its observedGeneration stays old otherwise."""
    known = conditions.find(one, type_)
    if known and (known["status"] == "True", known["message"]) == (ok, message):
        return
    conditions.put(one, type_, ok, message=message)


class Network(Parts):
    """Handles the ConfigMap in which a site's router tells what it sees."""

    def handle(self, event: str, config: Object) -> None:
        """It is new, has changed, or is gone."""
        if config["metadata"]["name"] == STATUS_MAP and event != "DELETED":
            data = config.get("data") or {}
            self.apply(config["metadata"]["namespace"], json.loads(data.get("NetworkStatus") or "[]"))

    def apply(self, namespace: str, network: list[Any]) -> None:
        """Tell everybody in a namespace."""
        site = self.active_site(namespace)
        if site is None:
            return
        new = own_copy(site)
        status_of(new).update(network=network, sitesInNetwork=len(network))
        self.world.tell(site, new)
        own: dict[str, Any] = next((one for one in network if one["id"] == site["metadata"]["uid"]), {})
        for link in self.world.all("Link", namespace):
            record: dict[str, Any] = next(
                (one for one in own.get("links", []) if one["name"] == name_of(link)), {}
            )
            self._link(link, record)
        offered: dict[str, set[str]] = {"connectors": set(), "listeners": set()}
        for service in (service for one in network for service in one.get("services", [])):
            for part, keys in offered.items():
                if service.get(part):
                    keys.add(service["routingKey"])
        for kind, other, field in (
            ("Listener", "connectors", "hasMatchingConnector"),
            ("Connector", "listeners", "hasMatchingListener"),
        ):
            for one in self.world.all(kind, namespace):
                self._matched(one, offered[other], other, field)

    def _link(self, link: Object, record: dict[str, Any]) -> None:
        new = own_copy(link)
        if record.get("operational"):
            status_of(new).update({key: record[key] for key in record if key.startswith("remote")})
            _put(new, "Operational", True, "OK")
        elif conditions.find(link, "Operational"):
            _put(new, "Operational", False, "Not operational")
        self.world.tell(link, new)

    def _matched(self, one: Object, offered: set[str], other: str, field: str) -> None:
        if one["kind"] == "Listener" and not conditions.find(one, "Configured"):
            return
        new = own_copy(one)
        matched = one["spec"].get("routingKey") in offered
        if matched:
            status_of(new)[field] = True
        else:
            status_of(new).pop(field, None)
        _put(new, "Matched", matched, "OK" if matched else f"No matching {other}")
        self.world.tell(one, new)
