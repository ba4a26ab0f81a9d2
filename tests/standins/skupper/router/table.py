"""What routers know of each other: records that they pass on, the way to each, and the network."""

from __future__ import annotations

import heapq
from typing import Any

Record = dict[str, Any]


class Table:
    """The newest record of every router that was heard of, our own included."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.records: dict[str, Record] = {}

    def take(self, record: Record) -> bool:
        """Keep a record that is news; whether it was."""
        known = self.records.get(record["router"])
        if known is not None and known["sequence"] >= record["sequence"]:
            return False
        self.records[record["router"]] = record
        return True

    def ways(self) -> dict[str, tuple[int, str]]:
        """For each router that can be reached: the cost and the first router on the way."""
        found: dict[str, tuple[int, str]] = {}
        queue = [(0, self.identity, self.identity)]
        while queue:
            cost, router, first = heapq.heappop(queue)
            if router in found:
                continue
            found[router] = (cost, first)
            for other, price in self.records.get(router, {}).get("neighbours", {}).items():
                # Both sides must say so: what a router that is gone said last does not count.
                back = self.records.get(other, {}).get("neighbours", {})
                if other not in found and router in back:
                    step = other if router == self.identity else first
                    heapq.heappush(queue, (cost + max(price, back[router]), other, step))
        return found

    def providers(self, key: str) -> dict[str, int]:
        """The routers that have a connector of this routing key, with their cost."""
        return {
            router: cost
            for router, (cost, _first) in self.ways().items()
            if self.records.get(router, {}).get("services", {}).get(key, {}).get("connectors")
        }

    def network(self) -> list[dict[str, Any]]:
        """The sites that can be reached, as in `status.network` of a Site."""
        sites: dict[str, dict[str, Any]] = {}
        for router in sorted(self.ways()):
            record = self.records.get(router)
            if record is None:
                continue
            site = sites.setdefault(record["site"]["id"], {**record["site"], "links": [], "services": []})
            site["links"] += [self._link(one) for one in record["links"]]
            for key, service in sorted(record["services"].items()):
                parts = {part: names for part, names in service.items() if names}
                site["services"].append({"routingKey": key, **parts})
        return [_without_empty(sites[key]) for key in sorted(sites)]

    def _link(self, link: dict[str, Any]) -> dict[str, Any]:
        remote = self.records.get(link["router"], {}).get("site", {})
        shown = {
            "name": link["name"],
            "operational": link["open"],
            "remoteSiteId": remote.get("id"),
            "remoteSiteName": remote.get("name"),
        }
        return _without_empty(shown)


def _without_empty(one: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in one.items() if value not in (None, "", [], False)}
