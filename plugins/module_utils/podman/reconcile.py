# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Bring one service to what is asked for: read, compare, hand over to the backend that acts, report."""

from __future__ import annotations

import typing as t

from . import quadlet
from . import spec as specs
from .actions import Actions
from .client import PodmanClient, PodmanError
from .containers import ContainerBackend
from .service import Desired, Observed, describe, described, facts, plan, plan_unit, wanted_addresses
from .systemd import RESTART_UNIT, Systemd, cgroup_v1, quadlet_generator
from .units import QuadletBackend


def desired_service(client: PodmanClient, params: t.Mapping[str, t.Any], check_mode: bool) -> Desired:
    """Return the wanted container; in check mode a placeholder stands for what is yet to be made."""
    spec = specs.normalise(params)
    image = client.inspect("image", spec["image"])
    if image is None and not check_mode:
        raise PodmanError(
            f"the image {spec['image']} is not on this host; build or pull it first (see: podman images)",
            client.argv(["image", "inspect", spec["image"]]),
        )
    secret_ids = {}
    for secret in spec.get("secrets", []):
        found = client.inspect("secret", secret["name"])
        if found is None and not check_mode:
            raise PodmanError(
                f"the secret {secret['name']} does not exist; make it first with podman_secret",
                client.argv(["secret", "inspect", secret["name"]]),
            )
        secret_ids[secret["name"]] = found["ID"] if found else "(not made yet)"
    image_id = specs.short_id(image["Id"]) if image else "(not made yet)"
    rendered = specs.render(spec, image_id, secret_ids)
    return Desired(spec, rendered, specs.digest(rendered), image_id)


def choose_backend(wanted: str, client: PodmanClient, systemd: Systemd) -> str:
    """Return container or quadlet; PodmanError when quadlet was asked for and cannot be."""
    if wanted == "container":
        return wanted
    usable = systemd.usable()
    if wanted == "auto" and not usable:
        # Asked first because it needs no command where there is no systemd.
        return "container"
    version, runtime = client.version(), client.runtime
    minimum = quadlet.GLOBAL_ARGS_VERSION if runtime else quadlet.MINIMUM_VERSION
    why = ""
    if version < minimum:
        with_runtime = f" with runtime={runtime}" if runtime else ""
        have, need = (".".join(map(str, numbers)) for numbers in (version, minimum))
        why = f"podman is {have} and Quadlet{with_runtime} needs {need}"
    elif quadlet_generator() is None:
        why = "podman's unit generator is not installed"
    elif not usable:
        why = "systemd does not answer" + (
            " (log in, or enable linger for this user)" if systemd.rootless else ""
        )
    elif not systemd.carries_quadlet():
        why = "for an ordinary user Quadlet needs version 2 of the control groups"
    if not why:
        return "quadlet"
    if wanted == "quadlet":
        raise PodmanError(f"backend=quadlet cannot be used: {why}; use backend=container")
    return "container"


class Reconciler:
    """One service and its two possible backends; ``result`` holds what is known so far.

    :param params: the options of module podman_service.
    :param directory: where podman looks for the units of this user.
    """

    def __init__(
        self,
        client: PodmanClient,
        systemd: Systemd,
        directory: str,
        params: t.Mapping[str, t.Any],
        check_mode: bool,
    ) -> None:
        self.client = client
        self.systemd = systemd
        self.params = params
        self.name: str = params["name"]
        self.state: str = params["state"]
        self.wait_timeout = float(params["wait_timeout"])
        self.ready: list[str] = params["ready_command"] or []
        self.actions = Actions(check_mode)
        self.containers = ContainerBackend(client, self.name, self.actions)
        self.units = QuadletBackend(client, systemd, directory, self.name, self.actions)
        self.result: dict[str, t.Any] = {"changed": False, "actions": self.actions.done}

    def run(self) -> dict[str, t.Any]:
        """Do what is asked for and return the result."""
        observed = self.containers.read()
        if observed is not None and not observed.managed:
            raise PodmanError(
                f"a container {self.name} exists which this collection did not make; "
                f"rename or remove it (podman rename, podman rm), or use another name"
            )
        if self.state == "absent":
            self._absent(observed)
        else:
            desired = desired_service(self.client, self.params, self.actions.check_mode)
            backend = choose_backend(self.params["backend"], self.client, self.systemd)
            self.result.update(backend=backend, spec_digest=desired.digest)
            if backend == "quadlet":
                self._quadlet(observed, desired)
            else:
                self._container(observed, desired)
        changed = bool(self.actions.done)
        self.result.update(changed=changed, container=facts(self.containers.read() if changed else observed))
        return self.result

    def _diff(self, before: str, after: str) -> None:
        self.result["diff"] = {
            "before": before,
            "after": after,
            "before_header": f"{self.name} (now)",
            "after_header": f"{self.name} (wanted)",
        }

    def _absent(self, observed: Observed | None) -> None:
        self.containers.recover()
        text = self.units.read()
        self.units.remove(text)
        self.containers.remove(observed)
        self._diff(text or described(observed), "")

    def _container(self, observed: Observed | None, desired: Desired) -> None:
        if self.units.remove(self.units.read()):
            # Its container goes with the unit.
            observed = None if self.actions.check_mode else self.containers.read()
        if self.containers.recover():
            observed = self.containers.read()
        steps = plan(observed, desired, self.state)
        self.result["reasons"] = steps.reasons
        addresses = dict(observed.addresses) if observed and not steps.replace else {}
        if self.state == "started":
            addresses.update({name: ip for name, ip in wanted_addresses(desired.spec).items() if ip})
        self._diff(described(observed), describe(desired.rendered, self.state == "started", addresses))
        self.containers.apply(steps, observed, desired, self.wait_timeout, self.ready)
        self._start_at_boot(desired)

    def _start_at_boot(self, desired: Desired) -> None:
        if self.state != "started" or desired.spec.get("restart") != "always" or not self.systemd.usable():
            return
        self.units.linger()
        if self.systemd.enablement(RESTART_UNIT) == "disabled":
            self.actions.do(f"enable {RESTART_UNIT}", lambda: self.systemd.run(["enable", RESTART_UNIT]))

    def _quadlet(self, observed: Observed | None, desired: Desired) -> None:
        wanted = quadlet.render_unit(
            desired.spec,
            desired.digest,
            rootless=self.systemd.rootless,
            cgroup_v1=cgroup_v1(),
            at_boot=self.state == "started",
        )
        text = self.units.read()
        active = self.units.active()
        if observed is not None and not observed.systemd_unit:
            # Made by the other backend: its restart policy would fight with systemd.
            self.containers.remove(observed)
        steps = plan_unit(text, wanted, observed, active, desired, self.state)
        self.result["reasons"] = steps.reasons
        running = {True: "yes", False: "no"}
        self._diff(
            "" if text is None else f"{text}running: {running[active]}\n",
            f"{wanted}running: {running[self.state == 'started']}\n",
        )
        self.units.linger()
        self.units.apply(steps, text, wanted, active, self.wait_timeout, self.ready)
