"""How a site's router runs: as a systemd unit on linux, as a container on podman and docker."""

from __future__ import annotations

import os
from typing import Protocol

from ..model import units
from ..model.engine import Container, Engine, EngineError, default_endpoint
from ..model.layout import CERTS, ROUTER, RUNTIME, SCRIPTS, namespace_path, shown_path
from ..model.site_state import StateError

ROUTER_IMAGE = "quay.io/skupper/skupper-router:3.5.1"
_SCRIPT = """#!/usr/bin/env sh

set -o errexit
set -o nounset

for container in $({engine} container ls --filter label=application=skupper-v2 \
--filter label=skupper.io/site-id={site_id} --format {{{{.Names}}}} --all); do
    {engine} {action} ${{container}}
done
"""


class Router(Protocol):
    """What start, reload and stop ask for."""

    def prepare(self) -> None:
        """Look for what is in the way."""

    def start(self, site_id: str) -> None:
        """Run it, and see to it that it comes back after a restart of the host."""

    def stop(self, site_id: str) -> None:
        """Stop it for a reload."""

    def put_back(self, site_id: str) -> None:
        """Run again what was stopped."""

    def forget(self) -> None:
        """Remove what was stopped."""


class UnitRouter:
    """The router as a unit."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def prepare(self) -> None:
        """Nothing can be in the way."""

    def start(self, site_id: str) -> None:
        """Write, enable and start the unit."""
        try:
            units.create("linux", self.namespace, site_id)
        except units.UnitError as error:
            name = units.service(self.namespace)
            raise StateError(f'unable to create startup service "{name}" - {error}\n') from error
        print(units.linger_advice(), end="")

    def stop(self, site_id: str) -> None:
        """Remove the unit."""
        try:
            units.remove(self.namespace)
        except units.UnitError as error:
            name = units.service(self.namespace)
            raise StateError(f'unable to remove startup service "{name}" - {error}\n') from error

    put_back = start

    def forget(self) -> None:
        """The unit was replaced."""


class ContainerRouter:
    """The router as a container."""

    def __init__(self, platform: str, namespace: str) -> None:
        self.platform = platform
        self.namespace = namespace
        self.engine = Engine(default_endpoint(platform))
        self.name = f"{namespace}-skupper-router"
        self.stopped: dict[str, str] = {}

    def prepare(self) -> None:
        """A container of the name that belongs to no site."""
        if not namespace_path(self.namespace, RUNTIME).exists() and self.engine.exists(self.name):
            raise StateError(f'container "{self.name}" already exists')

    def start(self, site_id: str) -> None:
        """Pull, create and start the container; scripts and a unit bring it back."""
        image = os.environ.get("SKUPPER_ROUTER_IMAGE", ROUTER_IMAGE)
        home = shown_path(self.namespace)
        container = Container(
            self.name,
            image,
            {
                "APPLICATION_NAME": "skupper-router",
                "QDROUTERD_CONF": "/etc/skupper-router/config/skrouterd.json",
                "QDROUTERD_CONF_TYPE": "json",
                "SKUPPER_SITE_ID": site_id,
                "SSL_PROFILE_BASE_PATH": "/etc/skupper-router",
            },
            {"skupper.io/v2-component": "router", "skupper.io/site-id": site_id},
            [
                f"{home / ROUTER}:/etc/skupper-router/config:z",
                f"{home / CERTS}:/etc/skupper-router/runtime/certs:z",
            ],
        )
        try:
            self.engine.pull(image)
        except EngineError as error:
            raise EngineError(f"failed to pull router image {image}: {error}") from error
        if self.engine.exists(self.name):
            raise StateError(f"container {self.name} already exists (component: router)")
        self.engine.create(container)
        self.engine.start(self.name)
        for action, file, end in (("start", "start.sh", "\n"), ("stop -t 10", "stop.sh", "")):
            script = namespace_path(self.namespace, SCRIPTS) / file
            text = _SCRIPT.format(engine=self.platform, site_id=site_id, action=action)
            script.write_text(text + end, encoding="utf-8")
            script.chmod(0o755)
        try:
            units.create(self.platform, self.namespace, site_id)
        except units.UnitError as error:
            name = units.service(self.namespace)
            raise StateError(f'unable to create startup service "{name}" - {error}\n') from error
        print(units.linger_advice(), end="")

    def stop(self, site_id: str) -> None:
        """Stop the site's containers, and set them aside under another name."""
        for name in self.engine.names(site_id):
            self.engine.stop(name)
            self.engine.rename(name, f"{name}-backup")
            self.stopped[name] = f"{name}-backup"

    def put_back(self, site_id: str) -> None:
        """Their names and their run again."""
        for name, aside in self.stopped.items():
            if self.engine.exists(name):
                self.engine.remove(name)
            self.engine.rename(aside, name)
            self.engine.start(name)

    def forget(self) -> None:
        """Remove those that were set aside."""
        for aside in self.stopped.values():
            self.engine.remove(aside)


def router_of(platform: str, namespace: str) -> Router:
    """The router of a platform; for a container its engine must answer."""
    if platform == "linux":
        return UnitRouter(namespace)
    return ContainerRouter(platform, namespace)
