# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Pure functions around podman networks."""

from __future__ import annotations

import ipaddress
import typing as t

from . import cni
from .client import MANAGED_LABEL, MANAGED_VALUE

#: What of a network can differ from the wanted one, in the order of the diff.
COMPARED = ("name", "subnet", "gateway", "internal", "disable_dns", "options")


class NetworkError(ValueError):
    """The wanted network cannot exist; the text says what to change."""


def validate(params: t.Mapping[str, t.Any]) -> None:
    """Raise NetworkError unless subnet and gateway are addresses that belong together."""
    try:
        subnet = ipaddress.ip_network(params["subnet"])
    except ValueError as error:
        raise NetworkError(f"subnet is {params['subnet']!r}: {error}; an example: 10.131.77.0/24") from error
    if params.get("gateway"):
        try:
            gateway = ipaddress.ip_address(params["gateway"])
        except ValueError as error:
            raise NetworkError(f"gateway is {params['gateway']!r}: {error}") from error
        if gateway not in subnet:
            raise NetworkError(
                f"gateway {gateway} is not in the subnet {subnet}; choose one of its addresses"
            )


def check_free(subnet: str, taken: t.Iterable[tuple[str, str, str]]) -> None:
    """Raise NetworkError when the subnet overlaps one in use, before anything is taken away for it.

    :param taken: of each: its addresses (C(10.0.0.1/24)), whose they are, and the command that ends that,
        where one can be recommended.
    """
    wanted = ipaddress.ip_network(subnet)
    for addresses, owner, command in taken:
        other = ipaddress.ip_network(addresses, strict=False)
        if other.version == wanted.version and other.overlaps(wanted):
            instead = f", or, if nothing needs that one any more: {command}" if command else ""
            raise NetworkError(
                f"subnet {subnet} overlaps {other} of {owner}. Remedy: choose another subnet{instead}"
            )


def subnets_of(listed: t.Iterable[t.Mapping[str, t.Any]], but: str) -> list[tuple[str, str, str]]:
    """Return what ``podman network ls`` tells as :func:`check_free` takes it, without one of the networks."""
    return [
        (part["subnet"], f"Podman's network {one['name']}", f"podman network rm {one['name']}")
        for one in listed
        if one["name"] != but
        for part in one.get("subnets") or []
    ]


def subnets_of_links(links: t.Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return the addresses of interfaces as :func:`check_free` takes it; bridges of a killed Podman stay."""
    return [
        (
            address,
            f"this host's interface {name}",
            f"ip link delete {name}" if name.startswith("podman") else "",
        )
        for name, address in links.items()
    ]


def wanted_network(params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return what is compared and made; without a gateway when podman may choose."""
    wanted = {
        "name": params["name"],
        "subnet": str(ipaddress.ip_network(params["subnet"])),
        "internal": bool(params["internal"]),
        "disable_dns": bool(params["disable_dns"]),
        "options": {str(k): str(v) for k, v in sorted((params.get("options") or {}).items())},
    }
    if params.get("gateway"):
        wanted["gateway"] = params["gateway"]
    return wanted


def observe(found: t.Mapping[str, t.Any] | None) -> dict[str, t.Any] | None:
    """Return the facts of ``podman network inspect``; None when there is no network."""
    if found is None:
        return None
    if cni.is_conflist(found):
        return cni.observe(found)
    subnets = found.get("subnets") or [{}]
    return {
        "name": found.get("name", ""),
        "id": found.get("id", ""),
        "subnet": ", ".join(part.get("subnet", "") for part in subnets),
        "gateway": subnets[0].get("gateway"),
        "internal": bool(found.get("internal")),
        "disable_dns": not found.get("dns_enabled"),
        "options": dict(sorted((found.get("options") or {}).items())),
        "interface": found.get("network_interface", ""),
    }


def different(now: t.Mapping[str, t.Any], wanted: t.Mapping[str, t.Any]) -> bool:
    """Return whether the network has to be made again."""
    return any(now.get(key) != value for key, value in wanted.items())


def create_args(wanted: t.Mapping[str, t.Any]) -> list[str]:
    """Return the arguments of ``podman network create``."""
    args = ["network", "create", f"--label={MANAGED_LABEL}={MANAGED_VALUE}", f"--subnet={wanted['subnet']}"]
    if "gateway" in wanted:
        args.append(f"--gateway={wanted['gateway']}")
    if wanted["internal"]:
        args.append("--internal")
    if wanted["disable_dns"]:
        args.append("--disable-dns")
    args += [f"--opt={key}={value}" for key, value in wanted["options"].items()]
    return [*args, wanted["name"]]


def attached_args(names: t.Iterable[str]) -> list[str]:
    """Return the arguments that list every container on one of the networks, running or not, as JSON."""
    return ["ps", "--all", *(f"--filter=network={name}" for name in names), "--format=json"]


def split_attached(listed: t.Iterable[t.Mapping[str, t.Any]]) -> tuple[list[str], list[str]]:
    """Return the names of containers this collection made, and of others."""
    ours: list[str] = []
    others: list[str] = []
    for container in listed:
        names = container.get("Names") or [container.get("Id", "")]
        labels = container.get("Labels") or {}
        (ours if labels.get(MANAGED_LABEL) == MANAGED_VALUE else others).append(names[0])
    return sorted(ours), sorted(others)
