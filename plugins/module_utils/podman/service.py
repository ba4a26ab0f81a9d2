# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Read, compare and change one container that podman itself keeps running."""

from __future__ import annotations

import time
import typing as t

from . import spec as specs
from .client import MANAGED_LABEL, PodmanClient, PodmanError

#: Suffix of the container that is being replaced, until its successor is up.
REPLACED_SUFFIX = "-replaced"

#: Seconds for which a container must have run without a restart before it counts as up.
SETTLE = 1.0
_POLL = 0.2
_LOG_LINES = 10
#: Restarts while we wait that make waiting pointless.
_CRASHES = 5


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
            name: (settings or {}).get("IPAddress", "") for name, settings in sorted(networks.items())
        },
        exit_code=int(state.get("ExitCode", 0) or 0),
        restarts=int(found.get("RestartCount", 0) or 0),
        systemd_unit=labels.get("PODMAN_SYSTEMD_UNIT", ""),
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


def describe(rendered: str, running: bool, addresses: t.Mapping[str, str]) -> str:
    """Return the text that a diff shows for one side."""
    lines = [rendered, f"running: {'yes' if running else 'no'}"]
    lines += [f"address on {name}: {address}" for name, address in addresses.items() if address]
    return "\n".join(lines) + "\n"


class ContainerBackend:
    """Acts on one container; every method that changes something is a no-op in check mode.

    ``actions`` collects what was (or in check mode would be) done.
    """

    def __init__(self, client: PodmanClient, name: str, check_mode: bool = False) -> None:
        self.client = client
        self.name = name
        self.check_mode = check_mode
        self.actions: list[str] = []

    def read(self, name: str | None = None) -> Observed | None:
        """Return the container as it is now."""
        return observe(self.client.inspect("container", name or self.name))

    def _do(self, action: str, args: t.Sequence[str], check: bool = True) -> None:
        self.actions.append(action)
        if not self.check_mode:
            self.client.run(args, check=check)

    def recover(self) -> bool:
        """Repair what an interrupted replacement left; return whether there was anything."""
        spare = self.name + REPLACED_SUFFIX
        # One cheap question, because nearly always there is nothing.
        if self.client.run(["container", "exists", spare], check=False).rc != 0:
            return False
        left = self.read(spare)
        if left is None or not left.managed:
            return False
        if self.read() is None:
            self._do(f"give {spare} its name back", ["rename", spare, self.name])
        else:
            self._do(f"remove {spare}", ["rm", "--force", spare])
        return True

    def apply(
        self,
        steps: Plan,
        observed: Observed | None,
        desired: Desired,
        wait_timeout: float,
        ready: t.Sequence[str],
    ) -> None:
        """Make it so. A replaced container comes back when its successor does not get up."""
        if steps.replace:
            self._replace(steps, observed, desired, wait_timeout, ready)
        elif steps.start:
            verb = "unpause" if observed is not None and observed.status == "paused" else "start"
            self._do(f"{verb} {self.name}", [verb, self.name])
            self.wait(wait_timeout, ready)
        elif steps.stop:
            self._do(f"stop {self.name}", ["stop", self.name])

    def _replace(
        self,
        steps: Plan,
        observed: Observed | None,
        desired: Desired,
        wait_timeout: float,
        ready: t.Sequence[str],
    ) -> None:
        spare = self.name + REPLACED_SUFFIX
        labels = specs.all_labels(
            desired.spec, {specs.SPEC_LABEL: desired.digest, specs.RENDERED_LABEL: desired.rendered}
        )
        if observed is not None:
            self._do(f"rename {self.name} to {spare}", ["rename", self.name, spare])
        try:
            # Neither addresses nor ports are taken by "create": the old one serves on until here.
            self._do(f"create {self.name}", specs.create_args(desired.spec, labels))
            if observed is not None and observed.status not in ("created", "exited", "configured"):
                self._do(f"stop {spare}", ["stop", spare])
            if steps.start:
                self._do(f"start {self.name}", ["start", self.name])
                self.wait(wait_timeout, ready)
        except PodmanError as error:
            if not self.check_mode:
                self._restore(observed, error)
            raise
        if observed is not None:
            self._do(f"remove {spare}", ["rm", "--force", spare])

    def _restore(self, observed: Observed | None, error: PodmanError) -> None:
        if observed is None:
            # Kept for its logs, but stopped, so that the next run does not take it for a healthy one.
            self.client.run(["stop", "--ignore", self.name], check=False)
            return
        spare = self.name + REPLACED_SUFFIX
        self.client.run(["rm", "--force", "--ignore", self.name], check=False)
        self.client.run(["rename", spare, self.name], check=False)
        if observed.running:
            back = self.client.run(["start", self.name], check=False)
            error.message += (
                "\nThe container from before runs again."
                if back.rc == 0
                else f"\nThe container from before could not be started again: {back.stderr.strip()}"
            )
        else:
            error.message += "\nThe container from before is in its place again."

    def wait(self, timeout: float, ready: t.Sequence[str]) -> None:
        """Wait until the container runs steadily and ``ready`` succeeds in it."""
        if self.check_mode:
            return
        wait_until_up(self.client, self.name, timeout, ready)

    def remove(self, observed: Observed | None) -> None:
        """Stop (with its own deadline) and remove the container."""
        if observed is not None:
            self._do(f"remove {self.name}", ["stop", "--ignore", self.name], check=False)
            if not self.check_mode:
                self.client.run(["rm", "--force", "--volumes", "--ignore", self.name])


def wait_until_up(
    client: PodmanClient, name: str, timeout: float, ready: t.Sequence[str], settle: float = SETTLE
) -> None:
    """Return when container ``name`` ran ``settle`` seconds without a restart and ``ready`` ended with 0.

    :param timeout: seconds until PodmanError, which tells the last state, the last log lines and what to run.
    :param ready: command run inside the container; empty means that running is enough.
    """
    deadline = time.monotonic() + timeout
    since, seen, why = time.monotonic(), "", "was not seen"
    first: int | None = None
    while True:
        now = observe(client.inspect("container", name))
        if now is not None:
            first = now.restarts if first is None else first
            if now.restarts - first >= _CRASHES:
                why = f"ends again and again, last with exit status {now.exit_code},"
                break
        if now is None or not now.running:
            seen = ""
            why = "does not exist" if now is None else f"is {now.status} with exit status {now.exit_code}"
        elif now.started_at != seen:
            since, seen, why = time.monotonic(), now.started_at, "has only just started"
        elif time.monotonic() - since >= min(settle, timeout):
            if not ready:
                return
            probe = client.run(
                ["exec", name, *ready], check=False, timeout=max(1.0, deadline - time.monotonic())
            )
            if probe.rc == 0:
                return
            why = (
                f"runs, but its check {' '.join(ready)!r} ends with {probe.rc}: {probe.stderr.strip()[-500:]}"
            )
        if time.monotonic() >= deadline:
            break
        time.sleep(_POLL)
    restarts = f" after {now.restarts} restarts" if now is not None and now.restarts else ""
    waited = timeout - (deadline - time.monotonic())
    message = f"container {name} {why}{restarts}; waited {waited:.1f} s. See more: podman logs {name}"
    logs = client.logs(name, _LOG_LINES)
    if logs:
        message += f"\nIts last lines:\n{logs}"
    raise PodmanError(message, client.argv(["start", name]), None, "", logs)
