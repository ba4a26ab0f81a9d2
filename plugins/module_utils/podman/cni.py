# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""The networks of Podman 3.4 (Ubuntu 22.04), which keeps them as files for the CNI plugins.

Its own commands do not make what this collection needs: it gives a fixed address to a container on one
network only, its internal networks have a default route, and its files have a version (1.0.0) that Ubuntu
22.04's plugins refuse. So the files are written here. A fixed address is a file of its own, a *seat*:
the same bridge with that one address. A container is put on seats instead of networks.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import pwd
import re
import typing as t

from ..files import write_file
from .actions import Actions
from .client import MANAGED_LABEL, MANAGED_VALUE, PodmanClient, PodmanError

#: From this version on podman's own commands do all of it.
UNTIL_VERSION = (4, 0, 0)

#: The newest version of the files that all plugins of Ubuntu 22.04 (0.9.1) read.
_FORMAT = "0.4.0"

#: Podman publishes ports on the network whose name comes first, so seats on which it can must come first.
_SEAT = re.compile(r"(?:external|internal)-(.+)-[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")

Network = t.Mapping[str, t.Any]


class CniError(ValueError):
    """The wanted network cannot be had with Podman 3.4; the text says what to change."""


def is_conflist(found: Network | None) -> bool:
    """Return whether an inspected network is one of Podman before 4.0."""
    return bool(found) and "plugins" in t.cast("Network", found)


def check(wanted: Network) -> None:
    """Raise CniError unless Podman before 4.0 can have the network."""
    if wanted["options"]:
        raise CniError(
            f"options is {dict(wanted['options'])}; Podman before 4.0 has none of them. "
            "Remedy: leave options away, or use a system with Podman 4.3 or newer"
        )
    if ipaddress.ip_network(wanted["subnet"]).version != 4:
        raise CniError(
            f"subnet is {wanted['subnet']}; Podman before 4.0 gets IPv4 only here. Remedy: give such a subnet"
        )
    if not wanted["disable_dns"]:
        raise CniError(
            "disable_dns is false; Podman before 4.0 has no name server of its own. "
            "Remedy: disable_dns=true with fixed addresses, or use a system with Podman 4.3 or newer"
        )


def _gateway(wanted: Network) -> str | None:
    if wanted.get("gateway"):
        return str(wanted["gateway"])
    return None if wanted["internal"] else str(ipaddress.ip_network(wanted["subnet"])[1])


def bridge(wanted: Network) -> str:
    """Return the name of the network's bridge, of at most 15 characters."""
    # With the subnet: a bridge keeps its old address when only the file changes.
    return "cni-" + hashlib.sha256(f"{wanted['name']} {wanted['subnet']}".encode()).hexdigest()[:11]


def seat_name(wanted: Network, address: str) -> str:
    """Return the name of the file that gives this address."""
    kind = "internal" if wanted["internal"] else "external"
    return f"{kind}-{wanted['name']}-{address}"


def network_of(name: str) -> str:
    """Return the network to which a seat belongs; another name as it is."""
    found = _SEAT.fullmatch(name)
    return found[1] if found else name


def published(port: t.Mapping[str, t.Any]) -> tuple[str, t.Any]:
    """Return address and number of a published port that ``podman ps`` lists, by its names of old and new."""
    address = port.get("host_ip") or port.get("hostIP") or "0.0.0.0"  # noqa: S104 - what podman means by none
    return address, port.get("host_port", port.get("hostPort"))


def conflist(wanted: Network, address: str | None = None) -> dict[str, t.Any]:
    """Return the file of a network, or of a seat on it.

    An internal network has no address of the host, no route and no IPv6, whose link-local address the host's
    end of the bridge would have.
    """
    subnet, internal, gateway = ipaddress.ip_network(wanted["subnet"]), wanted["internal"], _gateway(wanted)
    host = {"gateway": gateway} if gateway else {}
    ipam: dict[str, t.Any]
    if address:
        ipam = {"type": "static", "addresses": [{"address": f"{address}/{subnet.prefixlen}", **host}]}
    else:
        ipam = {"type": "host-local", "ranges": [[{"subnet": str(subnet), **host}]]}
    if not internal:
        ipam["routes"] = [{"dst": "0.0.0.0/0"}]
    plugins: list[dict[str, t.Any]] = [
        {
            "type": "bridge",
            "bridge": bridge(wanted),
            "isGateway": not internal,
            "ipMasq": not internal,
            "hairpinMode": True,
            "ipam": ipam,
        }
    ]
    if not internal:
        plugins.append({"type": "portmap", "capabilities": {"portMappings": True}})
    # Lets the network's own packets through where a firewall looks at bridges and drops what is new to it.
    plugins.append({"type": "firewall", "backend": ""})
    if internal:
        plugins.append({"type": "tuning", "sysctl": {"net.ipv6.conf.all.disable_ipv6": "1"}})
    return {
        "cniVersion": _FORMAT,
        "name": seat_name(wanted, address) if address else wanted["name"],
        "args": {"podman_labels": {MANAGED_LABEL: MANAGED_VALUE}},
        "plugins": plugins,
    }


def observe(found: Network) -> dict[str, t.Any]:
    """Return the facts of an inspected network; a file that is not as written here shows in ``options``."""
    plugins = {plugin.get("type"): plugin for plugin in found["plugins"]}
    link = plugins.get("bridge", {})
    ranges = [part for one in (link.get("ipam") or {}).get("ranges") or [] for part in one]
    facts = {
        "name": found.get("name", ""),
        "id": hashlib.sha256(str(found.get("name", "")).encode()).hexdigest(),
        "subnet": ", ".join(part.get("subnet", "") for part in ranges),
        "gateway": ranges[0].get("gateway") if ranges else None,
        "internal": not link.get("isGateway"),
        "disable_dns": "dnsname" not in plugins,
        "options": {},
        "interface": link.get("bridge", ""),
    }
    try:
        as_written = conflist(facts) == found
    except ValueError:
        as_written = False
    return facts if as_written else {**facts, "options": {"conflist": "not as this collection writes it"}}


class NetworkFiles:
    """The files of one user's podman.

    :param folder: where podman looks for them.
    """

    def __init__(self, client: PodmanClient, folder: str | None = None) -> None:
        self.client = client
        self.folder = folder or directory(os.geteuid(), os.environ)

    def apply(self) -> bool:
        """Return whether this podman needs them."""
        return self.client.version() < UNTIL_VERSION

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, f"{name}.conflist")

    def _write(self, content: Network) -> None:
        os.makedirs(self.folder, mode=0o755, exist_ok=True)
        write_file(self._path(content["name"]), json.dumps(content, indent=1).encode(), 0o644)

    def make(self, wanted: Network) -> None:
        """Make a network."""
        self._write(conflist(wanted))
        if self.client.inspect("network", wanted["name"]) is None:
            os.unlink(self._path(wanted["name"]))
            raise PodmanError(
                f"podman does not see the network {wanted['name']} in {self.folder}; "
                "Remedy: leave network_config_dir in containers.conf as it is by default"
            )

    def seats(self, network: str) -> list[str]:
        """Return the names of the network's seats."""
        try:
            names = [name.removesuffix(".conflist") for name in os.listdir(self.folder)]
        except OSError:
            return []
        return sorted(name for name in names if name != network and network_of(name) == network)

    def take(self, networks: t.Iterable[Network], actions: Actions) -> list[str] | None:
        """Return the names on which a container is put for its networks; write the seats that are missing.

        None where podman gives the addresses by its own options.
        """
        names: list[str] = []
        for network in networks:
            found = self.client.inspect("network", network["name"])
            if not is_conflist(found):
                return None
            names.append(self._seat(t.cast("Network", found), network.get("ip"), actions))
        return names

    def _seat(self, found: Network, address: str | None, actions: Actions) -> str:
        if not address:
            return str(found["name"])
        wanted = conflist(observe(found), address)
        try:
            with open(self._path(wanted["name"]), encoding="utf-8") as stream:
                there = json.load(stream) == wanted
        except (OSError, ValueError):
            there = False
        if not there:
            actions.do(f"write {self._path(wanted['name'])}", lambda: self._write(wanted))
        return str(wanted["name"])

    def paths(self, network: str) -> list[str]:
        """Return the files of the network's seats."""
        return [self._path(name) for name in self.seats(network)]

    def leave(self, network: str) -> None:
        """Remove the network's seats. Not by podman: it would remove the bridge with each of them."""
        for path in self.paths(network):
            os.unlink(path)


def directory(uid: int, environ: t.Mapping[str, str]) -> str:
    """Return the directory in which podman looks for the networks of this user."""
    if uid == 0:
        return "/etc/cni/net.d"
    config = environ.get("XDG_CONFIG_HOME") or os.path.join(pwd.getpwuid(uid).pw_dir, ".config")
    return os.path.join(config, "cni", "net.d")
