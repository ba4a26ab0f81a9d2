# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Change one container that podman itself keeps running."""

from __future__ import annotations

import typing as t

from . import spec as specs
from .actions import Actions
from .client import PodmanClient, PodmanError
from .cni import NetworkFiles
from .service import Desired, Observed, Plan, observe
from .waiting import wait_until_up

#: Suffix of the container that is being replaced, until its successor is up.
REPLACED_SUFFIX = "-replaced"


class ContainerBackend:
    """Changes one container, each step through ``actions``."""

    def __init__(self, client: PodmanClient, name: str, actions: Actions) -> None:
        self.client = client
        self.name = name
        self.actions = actions
        self.network_files = NetworkFiles(client)

    def read(self, name: str | None = None) -> Observed | None:
        """Return the container as it is now."""
        return observe(self.client.inspect("container", name or self.name))

    def _do(self, action: str, args: t.Sequence[str]) -> None:
        self.actions.do(action, lambda: self.client.run(args))

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
        if observed is not None and observed.seated and not steps.replace:
            self.network_files.take(desired.spec.get("networks", []), self.actions)
        if steps.replace:
            self._replace(steps, observed, desired, wait_timeout, ready)
        elif steps.start:
            verb = "unpause" if observed is not None and observed.status == "paused" else "start"
            self._start(verb, wait_timeout, ready)
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
        networks = self.network_files.take(desired.spec.get("networks", []), self.actions)
        if observed is not None:
            self._do(f"rename {self.name} to {spare}", ["rename", self.name, spare])
        try:
            # Neither addresses nor ports are taken by "create": the old one serves on until here.
            self._do(f"create {self.name}", specs.create_args(desired.spec, labels, networks))
            if observed is not None and observed.status not in ("created", "exited", "configured"):
                self._do(f"stop {spare}", ["stop", spare])
            if steps.start:
                self._start("start", wait_timeout, ready)
        except PodmanError as error:
            self._restore(observed, error)
            raise
        if observed is not None:
            self._do(f"remove {spare}", ["rm", "--force", spare])

    def _start(self, verb: str, timeout: float, ready: t.Sequence[str]) -> None:
        def start() -> None:
            self.client.run([verb, self.name])
            wait_until_up(self.client, self.name, timeout, ready)

        self.actions.do(f"{verb} {self.name}", start)

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

    def remove(self, observed: Observed | None) -> None:
        """Stop (with its own deadline) and remove the container."""
        if observed is not None:
            self.actions.do(f"remove {self.name}", self._remove)

    def _remove(self) -> None:
        self.client.run(["stop", "--ignore", self.name], check=False)
        self.client.run(["rm", "--force", "--volumes", "--ignore", self.name])
