# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""The few questions and orders this collection has for systemd, for the system or for one user."""

from __future__ import annotations

import os
import pwd
import typing as t

from . import quadlet
from .client import Completed, PodmanError, RunCommand

LINGER_DIR = "/var/lib/systemd/linger"

#: The unit with which podman starts containers with restart policy "always" after a reboot.
RESTART_UNIT = "podman-restart.service"


def session_environ(environ: t.Mapping[str, str], uid: int) -> dict[str, str]:
    """Return the variables that a rootless session needs and that sudo or ssh may have left out.

    Only what is missing and really there: /run/user/<uid> owned by the user, and its bus.
    """
    found: dict[str, str] = {}
    if uid == 0:
        return found
    runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{uid}"
    if not environ.get("XDG_RUNTIME_DIR"):
        try:
            if os.stat(runtime).st_uid != uid:
                return found
        except OSError:
            return found
        found["XDG_RUNTIME_DIR"] = runtime
    bus = os.path.join(runtime, "bus")
    if not environ.get("DBUS_SESSION_BUS_ADDRESS") and os.path.exists(bus):
        found["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={bus}"
    return found


class Systemd:
    """Calls systemctl for the system (uid 0) or for the user's own manager."""

    def __init__(self, run_command: RunCommand, uid: int, environ: t.Mapping[str, str] | None = None) -> None:
        self._run_command = run_command
        self.uid = uid
        self.rootless = uid != 0
        self._environ = dict(environ or {})

    def run(self, args: t.Sequence[str], check: bool = True) -> Completed:
        """Run ``systemctl <args>``; PodmanError with the evidence when it fails."""
        return self._command(["systemctl", *(["--user"] if self.rootless else []), *args], check)

    def _command(self, argv: t.Sequence[str], check: bool) -> Completed:
        rc, stdout, stderr = self._run_command(
            list(argv),
            data=None,
            binary_data=True,
            environ_update=self._environ,
            expand_user_and_vars=False,
            handle_exceptions=False,
        )
        if check and rc != 0:
            reason = (stderr or stdout).strip() or "no message"
            raise PodmanError(
                f"{' '.join(argv)} failed with exit status {rc}: {reason}", argv, rc, stdout, stderr
            )
        return Completed(rc, stdout, stderr)

    def usable(self) -> bool:
        """Return whether systemd is process 1 and answers us."""
        if not os.path.isdir("/run/systemd/system"):
            return False
        try:
            return self.run(["show-environment"], check=False).rc == 0
        except OSError:
            return False

    def carries_quadlet(self) -> bool:
        """Return whether units made by Quadlet can run.

        On version 1 of the control groups podman leaves an ordinary user's service for a scope of its own
        ("New main PID does not belong to service, refusing"), so that systemd ends
        the container. Those of root work.
        """
        return not (self.rootless and cgroup_v1())

    def is_active(self, unit: str) -> bool:
        """Return whether the unit runs."""
        return self.run(["is-active", "--quiet", unit], check=False).rc == 0

    def enablement(self, unit: str) -> str:
        """Return systemctl's word for the unit (enabled, disabled, ...); "" when there is no such unit."""
        return self.run(["is-enabled", unit], check=False).stdout.strip()

    def journal(self, unit: str, container: str, lines: int = 10) -> str:
        """Return the last log lines of a container, then of its unit; empty when they cannot be read."""
        scope = "--user-unit" if self.rootless else "--unit"
        # A container's own lines carry its name, not always its unit's.
        found = [self._journal(f"CONTAINER_NAME={container}", lines), self._journal(f"{scope}={unit}", lines)]
        return "\n".join(part for part in found if part)

    def _journal(self, match: str, lines: int) -> str:
        argv = ["journalctl", "--no-pager", "--quiet", "--output=cat", f"--lines={lines}", match]
        try:
            done = self._command(argv, check=False)
        except OSError:
            return ""
        return done.stdout.strip() if done.rc == 0 else ""

    def lingers(self) -> bool:
        """Return whether the user's services run without a login (always, for the system)."""
        if not self.rootless:
            return True
        return os.path.exists(os.path.join(LINGER_DIR, pwd.getpwuid(self.uid).pw_name))

    def enable_linger(self) -> None:
        """Let the user's services start at boot and outlive the login."""
        user = pwd.getpwuid(self.uid).pw_name
        try:
            self._command(["loginctl", "enable-linger", user], check=True)
        except (OSError, PodmanError) as error:
            raise PodmanError(
                f"services of {user} would end at logout and not start at boot; as root run: "
                f"loginctl enable-linger {user} ({error})"
            ) from error


def quadlet_generator() -> str | None:
    """Return the path of podman's unit generator on this host, None when there is none."""
    return next((path for path in quadlet.GENERATORS if os.access(path, os.X_OK)), None)


def cgroup_v1() -> bool:
    """Return whether this host has version 1 of the control groups, alone or mixed with version 2."""
    return not os.path.exists("/sys/fs/cgroup/cgroup.controllers")


def unit_directory(uid: int, environ: t.Mapping[str, str]) -> str:
    """Return the directory in which podman looks for the units of this user."""
    if uid == 0:
        return "/etc/containers/systemd"
    config = environ.get("XDG_CONFIG_HOME") or os.path.join(pwd.getpwuid(uid).pw_dir, ".config")
    return os.path.join(config, "containers", "systemd")
