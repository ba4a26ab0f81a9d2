"""What the `status` commands print, the same on every platform."""

from __future__ import annotations

from typing import Any

from ..model.encode import printed
from ..model.kinds import Resource, name_of
from .tables import table

LISTENERS = ["NAME", "STATUS", "ROUTING-KEY", "HOST", "PORT", "MATCHING-CONNECTOR", "MESSAGE"]
CONNECTORS = ["NAME", "STATUS", "ROUTING-KEY", "SELECTOR", "HOST", "PORT", "HAS MATCHING LISTENER", "MESSAGE"]


def _get(one: Resource, part: str, key: str, empty: Any = "") -> str:
    value = (one.get(part) or {}).get(key) or empty
    return str(value).lower() if isinstance(value, bool) else str(value)


def _row(one: Resource) -> list[str]:
    row = [name_of(one), _get(one, "status", "status"), _get(one, "spec", "routingKey")]
    if one["kind"] == "Connector":
        row.append(_get(one, "spec", "selector"))
    match = "hasMatchingListener" if one["kind"] == "Connector" else "hasMatchingConnector"
    row += [_get(one, "spec", "host"), _get(one, "spec", "port", 0), _get(one, "status", match, False)]
    return [*row, _get(one, "status", "message")]


def documents(ones: list[Resource], output: str) -> None:
    """One after the other, nothing between them."""
    for one in ones:
        print(printed(one, output), end="")


def sites(ones: list[Resource], output: str) -> None:
    """`site status`."""
    if output:
        return documents(ones, output)
    rows = [[name_of(one), _get(one, "status", "status"), _get(one, "status", "message")] for one in ones]
    print(table([["NAME", "STATUS", "MESSAGE"], *rows]), end="")
    return None


def services(ones: list[Resource], output: str) -> None:
    """`listener status` and `connector status`."""
    if output:
        return documents(ones, output)
    head = CONNECTORS if ones[0]["kind"] == "Connector" else LISTENERS
    print(table([head, *map(_row, ones)], 8), end="")
    return None


def service(one: Resource, kind: str, output: str) -> None:
    """The same of one by its name."""
    if output:
        return documents([one], output)
    row = _row({**one, "kind": kind})
    labels = ["Name:", "Status:", "Routing key:", "Host:", "Port:", "Has Matching Connector:", "Message:"]
    pairs = [list(pair) for pair in zip(labels, row)]
    if kind == "Connector":
        labels = ["Name:", "Status:", "Routing key:", "Selector:", "Host:", "Port:"]
        pairs = [list(pair) for pair in zip(labels, row)]
        # The program forgot the tab of this line.
        pairs += [[f"Has Matching Listener:{row[6]}"], ["Message:", row[7]]]
    print(table([*pairs, [""]], 8), end="")
    return None


def links(ones: list[Resource], output: str) -> None:
    """`link status`."""
    if output:
        return documents(ones, output)
    rows = [
        [
            name_of(one),
            _get(one, "status", "status"),
            _get(one, "spec", "cost", 0),
            _get(one, "status", "message"),
        ]
        for one in ones
    ]
    print(table([["NAME", "STATUS", "COST", "MESSAGE"], *rows]), end="")
    return None


def link(one: Resource, output: str) -> None:
    """The same of one by its name."""
    if output:
        return documents([one], output)
    for label, part, key in (
        ("Status", "status", "status"),
        ("Cost", "spec", "cost"),
        ("Message", "status", "message"),
    ):
        if label == "Status":
            print(f"Name\t: {name_of(one)}")
        print(f"{label}\t: {_get(one, part, key, 0 if key == 'cost' else '')}")
    return None
