# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Change one container that systemd keeps running through a Quadlet unit."""

from __future__ import annotations

import os
import typing as t

from ..files import write_file
from . import quadlet
from .actions import Actions
from .client import PodmanClient, PodmanError
from .service import Plan
from .systemd import Systemd
from .waiting import wait_until_up


class QuadletBackend:
    """Changes one unit, each step through ``actions``."""

    def __init__(
        self, client: PodmanClient, systemd: Systemd, directory: str, name: str, actions: Actions
    ) -> None:
        self.client = client
        self.systemd = systemd
        self.path = os.path.join(directory, quadlet.file_name(name))
        self.name = name
        self.unit = quadlet.unit_name(name)
        self.actions = actions

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

    def linger(self) -> None:
        """Make a user's services outlive the login."""
        if not self.systemd.lingers():
            self.actions.do("enable linger", self.systemd.enable_linger)

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
            self.actions.do(f"stop {self.unit}", lambda: self.systemd.run(["stop", self.unit]))
            return
        try:
            if steps.replace:
                self.actions.do(f"write {self.path}", lambda: self._install(wanted))
                if was_active and not steps.start:
                    self.actions.do(f"stop {self.unit}", lambda: self.systemd.run(["stop", self.unit]))
            if steps.start:
                self.actions.do(f"restart {self.unit}", lambda: self._restart(wait_timeout, ready))
        except PodmanError as error:
            if steps.replace and before is not None:
                self._restore(before, was_active, error)
            raise

    def _write(self, text: str) -> None:
        os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
        write_file(self.path, text.encode(), 0o600)

    def _install(self, text: str) -> None:
        self._write(text)
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
        self._write(before)
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
        self.actions.do(f"remove {self.path}", self._remove)
        return True

    def _remove(self) -> None:
        self.systemd.run(["stop", self.unit], check=False)
        os.unlink(self.path)
        self.systemd.run(["daemon-reload"], check=False)
        self.systemd.run(["reset-failed", self.unit], check=False)
