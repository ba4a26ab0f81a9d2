# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""One service: what is known of it, what is wanted, and what has to be done. Nothing here runs a command."""

from __future__ import annotations

import typing as t

from . import cni
from . import spec as specs
from .client import MANAGED_LABEL


class Observed(t.NamedTuple):
    """What is known of an existing container."""

    id: str
    status: str
    started_at: str
    managed: bool
    digest: str
    rendered: str
    image_id: str
    addresses: dict[str, str]
    exit_code: int
    restarts: int
    systemd_unit: str
    #: Whether it is on files of fixed addresses (Podman before 4.0).
    seated: bool

    @property
    def running(self) -> bool:
        """Whether its process is alive and not paused."""
        return self.status == "running"


class Desired(t.NamedTuple):
    """The wanted container with all it depends on."""

    spec: dict[str, t.Any]
    rendered: str
    digest: str
    image_id: str


class Plan(t.NamedTuple):
    """What has to be done; ``reasons`` say why, in words for the user."""

    replace: bool
    start: bool
    stop: bool
    reasons: list[str]

    @property
    def needed(self) -> bool:
        """Whether anything has to be done."""
        return self.replace or self.start or self.stop


def observe(found: t.Mapping[str, t.Any] | None) -> Observed | None:
    """Return the facts we compare, from ``podman container inspect``."""
    if found is None:
        return None
    state = found.get("State") or {}
    config = found.get("Config") or {}
    labels = config.get("Labels") or {}
    networks = (found.get("NetworkSettings") or {}).get("Networks") or {}
    return Observed(
        id=found.get("Id", ""),
        status=str(state.get("Status", "")),
        started_at=str(state.get("StartedAt", "")),
        managed=MANAGED_LABEL in labels,
        digest=labels.get(specs.SPEC_LABEL, ""),
        rendered=labels.get(specs.RENDERED_LABEL, ""),
        image_id=specs.short_id(found.get("Image", "")),
        addresses={
            cni.network_of(name): (settings or {}).get("IPAddress", "")
            for name, settings in sorted(networks.items())
        },
        exit_code=int(state.get("ExitCode", 0) or 0),
        restarts=int(found.get("RestartCount", 0) or 0),
        systemd_unit=labels.get("PODMAN_SYSTEMD_UNIT", ""),
        seated=any(cni.network_of(name) != name for name in networks),
    )


def wanted_addresses(spec: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Return network name -> fixed address ("" where podman chooses)."""
    return {network["name"]: network.get("ip", "") for network in spec.get("networks", [])}


def address_drift(observed: Observed, spec: t.Mapping[str, t.Any]) -> list[str]:
    """Return in words where a running container is on other networks or addresses than wanted."""
    wanted = wanted_addresses(spec)
    if not wanted or not observed.running:
        return []
    drift = [
        f"is on network {name}, which is not wanted" for name in observed.addresses if name not in wanted
    ]
    for name, address in wanted.items():
        if name not in observed.addresses:
            drift.append(f"is not on network {name}")
        elif address and observed.addresses[name] != address:
            drift.append(f"has address {observed.addresses[name] or 'none'} on {name} instead of {address}")
    return drift


def plan(observed: Observed | None, desired: Desired, state: str) -> Plan:
    """Compare and decide; ``state`` is started or stopped."""
    up = state == "started"
    if observed is None:
        return Plan(True, up, False, ["does not exist"])
    reasons: list[str] = []
    if observed.digest != desired.digest:
        reasons.append("was made from other settings")
    elif observed.image_id != desired.image_id:
        reasons.append("runs another image")
    if observed.systemd_unit:
        reasons.append(f"belongs to the systemd unit {observed.systemd_unit}")
    if up:
        reasons.extend(address_drift(observed, desired.spec))
    if reasons:
        return Plan(True, up, False, reasons)
    if up and not observed.running:
        return Plan(False, True, False, [f"is {observed.status}, not running"])
    if not up and observed.status in ("running", "paused", "restarting", "stopping"):
        return Plan(False, False, True, [f"is {observed.status}, not stopped"])
    return Plan(False, False, False, [])


def plan_unit(
    text: str | None, wanted: str, observed: Observed | None, active: bool, desired: Desired, state: str
) -> Plan:
    """Compare the unit, its service and its container with what is wanted, and decide."""
    up = state == "started"
    if text is None:
        return Plan(True, up, False, ["has no unit"])
    if text != wanted:
        return Plan(True, up, False, ["has a unit with other settings"])
    if not up:
        return Plan(False, False, active, ["is active, not stopped"] if active else [])
    reasons: list[str] = []
    if observed is None or not observed.running or not active:
        reasons.append("is not running")
    else:
        if observed.digest != desired.digest or observed.image_id != desired.image_id:
            reasons.append("runs a container made from other settings than its unit")
        reasons.extend(address_drift(observed, desired.spec))
    return Plan(False, bool(reasons), False, reasons)


def describe(rendered: str, running: bool, addresses: t.Mapping[str, str]) -> str:
    """Return the text that a diff shows for one side."""
    lines = [rendered, f"running: {'yes' if running else 'no'}"]
    lines += [f"address on {name}: {address}" for name, address in addresses.items() if address]
    return "\n".join(lines) + "\n"


def described(observed: Observed | None) -> str:
    """Return the text that a diff shows for what is there now."""
    return describe(observed.rendered, observed.running, observed.addresses) if observed else ""


def facts(observed: Observed | None) -> dict[str, t.Any] | None:
    """Return what the user gets to see of a container."""
    if observed is None:
        return None
    return {
        "id": observed.id,
        "status": observed.status,
        "image_id": observed.image_id,
        "addresses": observed.addresses,
    }
