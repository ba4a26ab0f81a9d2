# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Read, compare and change one container that systemd keeps running through a Quadlet unit."""

from __future__ import annotations

import os
import tempfile
import typing as t

from . import quadlet
from .client import PodmanClient, PodmanError
from .service import Desired, Observed, Plan, address_drift, wait_until_up
from .systemd import Systemd


def write_atomically(path: str, text: str, mode: int = 0o600) -> None:
    """Replace a file in one step: temporary name in its directory, fsync, rename."""
    directory = os.path.dirname(path)
    os.makedirs(directory, mode=0o755, exist_ok=True)
    # The generator looks at the ending of names, so the temporary one must not end like a unit.
    handle, temporary = tempfile.mkstemp(dir=directory, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


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


class QuadletBackend:
    """Acts on one unit; in check mode only ``actions`` grow."""

    def __init__(
        self, client: PodmanClient, systemd: Systemd, directory: str, name: str, check_mode: bool = False
    ) -> None:
        self.client = client
        self.systemd = systemd
        self.path = os.path.join(directory, quadlet.file_name(name))
        self.name = name
        self.unit = quadlet.unit_name(name)
        self.check_mode = check_mode
        self.actions: list[str] = []

    def read(self) -> str | None:
        """Return the text of the unit as it is now."""
        try:
            with open(self.path, encoding="utf-8") as stream:
                return stream.read()
        except FileNotFoundError:
            return None

    def active(self) -> bool:
        """Return whether the service runs."""
        return self.systemd.is_active(self.unit)

    def _do(self, action: str, order: t.Callable[[], t.Any]) -> None:
        self.actions.append(action)
        if not self.check_mode:
            order()

    def linger(self) -> bool:
        """Make a user's services outlive the login; return whether that was a change."""
        if self.systemd.lingers():
            return False
        self._do("enable linger", self.systemd.enable_linger)
        return True

    def apply(
        self,
        steps: Plan,
        before: str | None,
        wanted: str,
        was_active: bool,
        wait_timeout: float,
        ready: t.Sequence[str],
    ) -> None:
        """Make it so. The old unit comes back when the new one does not get up."""
        if steps.stop:
            self._do(f"stop {self.unit}", lambda: self.systemd.run(["stop", self.unit]))
            return
        try:
            if steps.replace:
                self._do(f"write {self.path}", lambda: self._install(wanted))
                if was_active and not steps.start:
                    self._do(f"stop {self.unit}", lambda: self.systemd.run(["stop", self.unit]))
            if steps.start:
                self._do(f"restart {self.unit}", lambda: self._restart(wait_timeout, ready))
        except PodmanError as error:
            if steps.replace and before is not None:
                self._restore(before, was_active, error)
            raise

    def _install(self, text: str) -> None:
        write_atomically(self.path, text)
        self.systemd.run(["daemon-reload"])
        done = self.systemd.run(["show", "--property=LoadState", "--value", self.unit], check=False)
        if done.stdout.strip() != "loaded":
            raise PodmanError(
                f"podman's generator made no service of {self.path}; see: "
                f"journalctl -b -t quadlet-generator, or run the generator with -dryrun",
                rc=done.rc,
                stdout=done.stdout,
                stderr=done.stderr,
            )

    def _restart(self, wait_timeout: float, ready: t.Sequence[str]) -> None:
        try:
            self.systemd.run(["restart", self.unit])
            wait_until_up(self.client, self.name, wait_timeout, ready)
        except PodmanError as error:
            journal = self.systemd.journal(self.unit, self.name)
            if journal:
                error.message += f"\nThe last lines (more: journalctl --unit {self.unit}):\n{journal}"
            raise

    def _restore(self, before: str, was_active: bool, error: PodmanError) -> None:
        write_atomically(self.path, before)
        self.systemd.run(["daemon-reload"], check=False)
        self.systemd.run(["reset-failed", self.unit], check=False)
        verb = "restart" if was_active else "stop"
        back = self.systemd.run([verb, self.unit], check=False)
        error.message += (
            "\nThe unit from before is in its place again."
            if back.rc == 0
            else f"\nThe unit from before could not be brought back: {back.stderr.strip()}"
        )

    def remove(self, text: str | None) -> bool:
        """Stop the service and remove its unit; return whether there was one."""
        if text is None:
            return False
        self._do(f"remove {self.path}", self._remove)
        return True

    def _remove(self) -> None:
        self.systemd.run(["stop", self.unit], check=False)
        os.unlink(self.path)
        self.systemd.run(["daemon-reload"], check=False)
        self.systemd.run(["reset-failed", self.unit], check=False)
