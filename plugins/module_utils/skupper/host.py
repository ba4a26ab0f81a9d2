# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""What runs a site on a host: its unit, its container, its files. Looked at and touched here."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
import typing as t

from ..files import write_file
from ..podman.client import PodmanError
from ..podman.systemd import Systemd, session_environ
from .errors import MissingPrerequisite, SkupperError, WaitFailed
from .kinds import CONTAINER_PLATFORMS
from .namespaces import SECRET_MODE, FileStore
from .session import Session
from .system import (
    DROP_IN,
    DROP_IN_NAME,
    State,
    answers,
    controller_name,
    is_running,
    local_port,
    open_files,
    site_of,
    unit_directory,
    unit_name,
    unit_states,
)


class System:
    """The site of a host, as it is and as it is made."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.namespace = session.namespace
        self.platform = session.platform
        store = session.store
        if not isinstance(store, FileStore):
            raise AssertionError("the platform was checked")  # pragma: no cover
        self.store = store
        uid = os.geteuid()
        self.uid = uid
        self.systemd = Systemd(session.module.run_command, uid, session_environ(os.environ, uid))
        self.unit = unit_name(self.namespace)
        self.unit_file = os.path.join(unit_directory(uid, os.environ), self.unit)
        self.drop_in = os.path.join(f"{self.unit_file}.d", DROP_IN_NAME)
        self.router = f"{self.namespace}-skupper-router"

    def systemctl(self, *words: str, check: bool = True) -> str:
        """Run systemctl and return what it prints; SkupperError when it fails."""
        try:
            return self.systemd.run(words, check=check).stdout
        except (PodmanError, OSError) as error:
            raise SkupperError(f"{error}; does systemd run here, for this user?") from error

    def engine(self, *words: str) -> tuple[int, str, str]:
        """Run the container engine; MissingPrerequisite when it is not there."""
        path = self.session.module.get_bin_path(self.platform)
        if path is None:
            raise MissingPrerequisite(
                f"{self.platform} is not on this host; install it, or choose another platform"
            )
        found: tuple[int, str, str] = self.session.module.run_command(
            [path, *words], expand_user_and_vars=False
        )
        return found

    def tell_engine(self, *words: str) -> None:
        """Have the container engine do something; SkupperError when it fails."""
        rc, stdout, stderr = self.engine(*words)
        if rc != 0:
            said = (stderr or stdout).strip()
            raise SkupperError(f"{self.platform} {' '.join(words)} failed with exit status {rc}: {said}")

    def inspect(self, name: str) -> dict[str, t.Any] | None:
        """Return a container as its engine describes it, None when there is none."""
        rc, stdout, _stderr = self.engine("container", "inspect", name)
        found = json.loads(stdout) if rc == 0 else []
        return found[0] if found else None

    def controller(self) -> dict[str, t.Any] | None:
        """Return the container of the system controller, None when there is none."""
        return self.inspect(controller_name(self.uid))

    def running(self) -> bool | None:
        """Return whether the router runs, None when that cannot be asked."""
        return self.state().running

    def state(self) -> State:
        """Look."""
        started = self.store.started()
        has_unit = os.path.exists(self.unit_file)
        running: bool | None = False
        enabled: bool | None = None
        lost = False
        if started:
            running, enabled = self._by_systemd() if has_unit else (False, None)
            lost = not has_unit
            if self.platform in CONTAINER_PLATFORMS:
                found = self.inspect(self.router)
                running, lost = found is not None and is_running(found), found is None
        return State(
            defined=bool(self.store.documents.all("Site")),
            started=started,
            pending=tuple(self.store.pending()),
            running=running,
            open_files=tuple(open_files(self.store.root)),
            drop_in=self.platform != "linux" or self._drop_in() == DROP_IN,
            enabled=enabled,
            lost=lost,
        )

    def _by_systemd(self) -> tuple[bool | None, bool | None]:
        try:
            said = self.systemctl("show", "--property=ActiveState,UnitFileState", self.unit)
        except SkupperError:
            return None, None
        return unit_states(said)

    def _drop_in(self) -> bytes | None:
        try:
            with open(self.drop_in, "rb") as stream:
                return stream.read()
        except FileNotFoundError:
            return None

    def write_drop_in(self) -> None:
        """Let systemd start a router again that has died."""
        os.makedirs(os.path.dirname(self.drop_in), exist_ok=True)
        write_file(self.drop_in, DROP_IN, 0o644)
        self.systemctl("daemon-reload")

    def close_files(self, paths: t.Sequence[str]) -> None:
        """Take the right to read keys from others."""
        for path in paths:
            os.chmod(path, SECRET_MODE)

    def revive(self) -> None:
        """Start a router that has stopped."""
        if os.path.exists(self.unit_file):
            self.systemctl("restart", self.unit)
        else:
            # An automatic reload of the controller makes a container without a unit.
            self.tell_engine("start", self.router)

    def enable(self) -> None:
        """Have the site start with the host."""
        self.systemctl("enable", self.unit)

    def stop(self) -> None:
        """Stop the router, and keep it from starting with the host."""
        if os.path.exists(self.unit_file):
            self.systemctl("disable", "--now", self.unit)
        if self.platform in CONTAINER_PLATFORMS:
            found = self.inspect(self.router)
            if found is not None and is_running(found):
                self.tell_engine("stop", self.router)

    @contextlib.contextmanager
    def alone(self) -> t.Iterator[None]:
        """While no other site of this user starts on this host.

        The command takes the first ports on which nobody listens yet, so two at once get the same ones.
        """
        handle = os.open(os.path.dirname(self.store.root), os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def wait(self) -> None:
        """Return when the router listens for tools of this host; WaitFailed otherwise."""
        limit, began = float(self.session.params["wait_timeout"]), time.monotonic()
        port = local_port(self.store)
        while port is not None and not answers(port):
            waited = time.monotonic() - began
            if waited >= limit:
                raise WaitFailed(
                    f"the router of namespace {self.namespace} does not listen on 127.0.0.1:{port} after "
                    f"{waited:.0f} s. Likely cause: it ended again, or its image cannot be fetched. Next: "
                    f"{self._next()}"
                )
            time.sleep(0.2)

    def _next(self) -> str:
        if self.platform == "linux":
            return f"journalctl {'--user-unit' if self.uid else '-u'} {self.unit} --lines=20"
        return f"{self.platform} logs --tail 20 {self.router}"

    def remove(self) -> None:
        """Stop the site and remove the namespace."""
        if self.store.started() and self.platform in CONTAINER_PLATFORMS:
            self.session.cli().run(["system", "stop"])
        elif self.platform == "linux" and os.path.exists(self.unit_file):
            # The command opens the socket of a container engine first, which a linux site need not have.
            self.systemctl("disable", "--now", self.unit)
            os.unlink(self.unit_file)
            self.systemctl("daemon-reload")
            self.systemctl("reset-failed", self.unit, check=False)
        shutil.rmtree(os.path.dirname(self.drop_in), ignore_errors=True)
        if os.path.isdir(self.store.root):
            shutil.rmtree(self.store.root)

    def describe(self, running: bool | None) -> dict[str, t.Any]:
        """Return the namespace for the result."""
        site = site_of(self.store) or {}
        return {
            "namespace": self.namespace,
            "platform": self.platform,
            "path": self.store.root,
            "started": self.store.started(),
            "running": running,
            "pending": self.store.pending(),
            "uid": (site.get("metadata") or {}).get("uid"),
        }
