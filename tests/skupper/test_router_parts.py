"""Parts of the stand-in router by themselves: what it knows of the network, and when it tells."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.standins.skupper.router import router
from tests.standins.skupper.router.adaptor import MEASURED, News
from tests.standins.skupper.router.config import Config, load
from tests.standins.skupper.router.table import Table


def record(
    router: str, neighbours: dict[str, int], sequence: int = 1, **services: list[str]
) -> dict[str, Any]:
    """What a router says of itself; services by routing key, each with the hosts of its connectors."""
    return {
        "router": router,
        "sequence": sequence,
        "site": {"id": f"id-{router}", "name": router, "platform": "linux"},
        "links": [{"name": f"to-{one}", "open": True, "router": one} for one in neighbours],
        "neighbours": neighbours,
        "services": {key: {"connectors": hosts, "listeners": []} for key, hosts in services.items()},
    }


def table(*records: dict[str, Any]) -> Table:
    """What the router `a` knows."""
    made = Table("a")
    for one in records:
        made.take(one)
    return made


def test_the_cheapest_way_is_taken() -> None:
    known = table(
        record("a", {"b": 1, "c": 5}), record("b", {"a": 1, "c": 1}), record("c", {"a": 5, "b": 1}, key=["h"])
    )
    assert known.ways() == {"a": (0, "a"), "b": (1, "b"), "c": (2, "b")}
    assert known.providers("key") == {"c": 2} and known.providers("another") == {}


def test_a_link_counts_when_both_sides_say_so() -> None:
    """What a router that is gone said last is still there, and is not believed."""
    known = table(record("a", {}), record("b", {"a": 1}, key=["h"]))
    assert known.ways() == {"a": (0, "a")} and known.providers("key") == {}
    assert known.take(record("a", {"b": 1}, sequence=2)) and known.providers("key") == {"b": 1}
    assert not known.take(record("a", {}, sequence=1)), "old news"


def test_the_network_is_shown_as_a_site_has_it() -> None:
    known = table(record("a", {"b": 1}), record("b", {"a": 1}, key=["127.0.0.1"]))
    first, second = known.network()
    assert first["links"] == [
        {"name": "to-b", "operational": True, "remoteSiteId": "id-b", "remoteSiteName": "b"}
    ]
    assert "services" not in first
    assert second["services"] == [{"routingKey": "key", "connectors": ["127.0.0.1"]}]


def test_news_is_told_late() -> None:
    """A service soon, a new site late, a lost one later, and nothing of what has passed."""
    alone = table(record("a", {})).network()
    both = table(record("a", {"b": 1}), record("b", {"a": 1})).network()
    served = table(record("a", {"b": 1}), record("b", {"a": 1}, key=["h"])).network()
    news = News(MEASURED)
    assert news.look(alone, 0) is None and news.look(alone, MEASURED.services) == alone
    assert news.look(both, 10) is None and news.look(both, 22.9) is None
    assert news.look(both, 10 + MEASURED.new_site) == both and news.look(both, 99) is None
    assert news.look(served, 100) is None and news.look(served, 100 + MEASURED.services) == served
    assert news.look(alone, 200) is None and news.look(alone, 226) is None
    assert news.look(served, 226.5) is None, "it came back before anybody was told"
    assert news.look(alone, 300) is None and news.look(alone, 300 + MEASURED.lost_site) == alone


def test_a_configuration_that_is_replaced_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, taken = tmp_path / "config.json", []

    def write(site: str) -> None:
        draft = tmp_path / "draft"
        draft.write_text(json.dumps([["router", {"id": "r"}], ["site", {"name": site}]]))
        # Both in one tick of the clock.
        os.utime(draft, ns=(1, 1))
        draft.replace(path)

    def read(place: Path) -> Config:
        found = load(place)
        taken.append(found.site["name"])
        if len(taken) == 1:
            write("second")
        return found

    async def run() -> None:
        task = asyncio.create_task(router.Router(path).run(watch=True))
        end = time.monotonic() + 10
        while len(taken) < 2 and time.monotonic() < end:
            await asyncio.sleep(0.05)
        task.cancel()

    write("first")
    monkeypatch.setattr(router, "load", read)
    asyncio.run(run())
    assert taken == ["first", "second"]
