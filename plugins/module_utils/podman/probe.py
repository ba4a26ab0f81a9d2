# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""The preflight's experiments: temporary objects of podman, all removed again."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import sysconfig
import tempfile
import time
import typing as t

from . import rootfs
from .actions import Actions
from .client import PodmanClient, PodmanError, RunCommand
from .cni import NetworkFiles
from .network import create_args
from .preflight import HARDENING, RESOURCE_LIMITS, Combination, probe_subnet
from .service import observe
from .spec import network_args

#: Seconds for one command of an experiment; a healthy host needs less than one.
_LIMIT = 30
#: Seconds in which the published port has to answer.
_ANSWER = 5.0
_GREETING = b"private-ai probe"
_PORT = 8099
#: Nothing is fetched, and "rm" does not wait ("rm --time" came with Podman 4.0).
_AT_ONCE = ("--pull=never", "--stop-timeout=0")

# Ends by itself: nothing stays for long if the preflight is killed.
_SERVER = f"""
import socket
server = socket.socket()
server.bind(("0.0.0.0", {_PORT}))
server.listen(8)
server.settimeout(20)
while True:
    connection, _peer = server.accept()
    connection.sendall({_GREETING!r})
    connection.close()
"""


class Probe:
    """Context manager: makes one small image from host files, tries things with it, removes everything."""

    def __init__(self, client_for: t.Callable[[str | None], PodmanClient], run_command: RunCommand) -> None:
        self._client_for = client_for
        self._client = client_for(None)
        self._files = NetworkFiles(self._client)
        self._run_command = run_command
        tag = f"{os.getpid()}-{time.time_ns() % 10**6}"
        self._prefix = f"private-ai-preflight-{tag}"
        self._image = f"localhost/private-ai-preflight:{tag}"
        self._images: list[str] = []
        self._networks: list[str] = []
        self._containers: list[str] = []
        self._true = shutil.which("true") or "/bin/true"
        self._python = os.path.realpath(sys.executable)
        self._stdlib = sorted({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")})

    def __enter__(self) -> Probe:
        """Import the image; PodmanError or RootfsError when it cannot be made."""
        files = rootfs.needed_files([self._true, self._python], self._run_command)
        data = rootfs.archive(files, empty=self._stdlib)
        try:
            self._images.append(self._image)
            self._client.run(["import", "--quiet", "-", self._image], data=data, timeout=_LIMIT)
        except BaseException:
            self.clean()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        """Remove what was made."""
        self.clean()

    def clean(self) -> None:
        """Remove what was made, in any case all of it, as quickly as podman can."""
        if self._containers:
            self._client.run(["rm", "--force", "--ignore", *self._containers], check=False)
        for name in self._networks:
            self._files.leave(name)
        if self._networks:
            self._client.run(["network", "rm", "--force", *self._networks], check=False)
        if self._images:
            self._client.run(["rmi", "--force", *self._images], check=False)
        self._containers, self._networks, self._images = [], [], []

    def _name(self, what: str) -> str:
        name = f"{self._prefix}-{what}"
        self._containers.append(name)
        return name

    def start(self, combination: Combination, limits: bool = False) -> str | None:
        """Run a program to its end; return podman's message when that fails."""
        name = self._name(f"start{len(self._containers)}")
        args = ["run", "--rm", f"--name={name}", "--network=none", *_AT_ONCE, *HARDENING]
        args += combination.run_args
        args += RESOURCE_LIMITS if limits else ()
        return self._message(combination, [*args, self._image, self._true])

    def build(self, combination: Combination, isolation: str | None) -> str | None:
        """Build an image with one RUN; return podman's message when that fails."""
        image = f"{self._image}-build"
        if image not in self._images:
            self._images.insert(0, image)
        with tempfile.TemporaryDirectory(prefix="private-ai-") as context:
            recipe = os.path.join(context, "Containerfile")
            with open(recipe, "w", encoding="utf-8") as stream:
                stream.write(f'FROM {self._image}\nRUN ["{self._true}"]\n')
            args = ["build", "--network=none", f"--tag={image}", f"--file={recipe}"]
            args += combination.run_args
            args += [f"--isolation={isolation}"] if isolation else []
            return self._message(combination, [*args, context])

    def network(self, combination: Combination) -> str | None:
        """Publish a port from a container with fixed addresses on an internal and an outer network.

        Return a message unless the port answers and both addresses are right.
        """
        number = int.from_bytes(os.urandom(4), "big") * 2
        inner, inner_ip = probe_subnet(number)
        outer, outer_ip = probe_subnet(number + 1)
        wanted = {f"{self._prefix}-inner": inner_ip, f"{self._prefix}-outer": outer_ip}
        inner_name, outer_name = wanted
        args = ["run", "--detach", f"--name={self._name('net')}", *_AT_ONCE, *HARDENING]
        args += combination.run_args
        args += [f"--volume={path}:{path}:ro" for path in self._stdlib]
        server = [f"--publish=127.0.0.1::{_PORT}", self._image, self._python, "-I", "-S", "-c", _SERVER]
        try:
            self._networks += [inner_name, outer_name]
            self._make_network(inner_name, inner, internal=True)
            self._make_network(outer_name, outer, internal=False)
            networks = [{"name": name, "ip": address} for name, address in wanted.items()]
            args += network_args(networks, self._files.take(networks, Actions()))
            self._client_for(combination.runtime).run([*args, *server], timeout=_LIMIT)
            return self._check_network(self._containers[-1], wanted)
        except PodmanError as error:
            return error.stderr.strip() or error.message

    def _make_network(self, name: str, subnet: str, internal: bool) -> None:
        network = {"name": name, "subnet": subnet, "internal": internal, "disable_dns": True, "options": {}}
        if self._files.apply():
            self._files.make(network)
        else:
            self._client.run(create_args(network), timeout=_LIMIT)

    def _check_network(self, name: str, wanted: dict[str, str]) -> str | None:
        found = self._client.inspect("container", name) or {}
        settings = found.get("NetworkSettings") or {}
        seen = observe(found)
        for network, address in wanted.items():
            given = seen.addresses.get(network) if seen else None
            if given != address:
                return f"the address {address} was asked for, podman gave {given or 'none'}"
        bindings = (settings.get("Ports") or {}).get(f"{_PORT}/tcp") or [{}]
        port = int(bindings[0].get("HostPort") or 0)
        deadline = time.monotonic() + _ANSWER
        why = "podman published no port"
        while port and time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                    if connection.recv(64) == _GREETING:
                        return None
                    why = "another answer than the probe's came"
            except OSError as error:
                why = str(error)
            time.sleep(0.05)
        logs = self._client.logs(name, 3)
        return f"the published port 127.0.0.1:{port} does not answer: {why}{'; ' + logs if logs else ''}"

    def _message(self, combination: Combination, args: list[str]) -> str | None:
        try:
            done = self._client_for(combination.runtime).run(args, check=False, timeout=_LIMIT)
        except PodmanError as error:
            return error.message
        if done.rc == 0:
            return None
        return done.stderr.strip() or done.stdout.strip() or f"exit status {done.rc}"
