# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""The preflight: what podman and the host say, then what the experiments show."""

from __future__ import annotations

import os
import pwd
import resource
import shutil
import typing as t

from . import preflight, quadlet
from .client import PodmanClient, PodmanError, RunCommand, last_lines
from .preflight import Combination, Problem
from .probe import Probe
from .rootfs import RootfsError
from .systemd import Systemd, quadlet_generator, session_environ


def user_problems(user: str, uid: int, environ: t.Mapping[str, str]) -> list[Problem]:
    """Return what an ordinary user lacks for rootless podman, without starting anything."""
    found = []

    def add(message: str, doing: str) -> None:
        found.append(preflight.explain(message, doing, user, uid))

    if not environ.get("XDG_RUNTIME_DIR") and not session_environ(environ, uid).get("XDG_RUNTIME_DIR"):
        add(f"XDG_RUNTIME_DIR is not set and /run/user/{uid} is not a directory of {user}", "looking for it")
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as error:
        add(f"/dev/net/tun: {error.strerror}", "opening it")
    if shutil.which("newuidmap") is None:
        add("newuidmap is not installed", "looking for it")
    for path in ("/etc/subuid", "/etc/subgid"):
        count = _subordinate_ids(path, user, uid)
        # Our images run as user 1001, which must be mapped to something.
        if count < 2000:
            add(f"{path} gives {user} {count} IDs, at least 2000 are needed, 65536 are usual", "reading it")
            break
    return found


def _subordinate_ids(path: str, user: str, uid: int) -> int:
    try:
        with open(path, encoding="utf-8") as stream:
            return preflight.subordinate_ids(stream.read(), user, uid)
    except OSError:
        return 0


class Survey:
    """Collects facts and problems, cheap questions first.

    :param path: the podman command.
    :param runtimes: OCI runtimes to try after podman's default one.
    """

    def __init__(self, run_command: RunCommand, path: str, runtimes: t.Sequence[str]) -> None:
        self.run_command = run_command
        self.path = path
        self.runtimes = runtimes
        self.uid = os.geteuid()
        self.user = pwd.getpwuid(self.uid).pw_name
        self.environ = session_environ(os.environ, self.uid)
        self.client = self.client_for(None)
        self.systemd = Systemd(run_command, self.uid, self.environ)
        self.problems: list[Problem] = []
        self.tried: list[dict[str, str]] = []

    def client_for(self, runtime: str | None) -> PodmanClient:
        """Return a client that names this runtime."""
        return PodmanClient(self.run_command, self.path, runtime, environ=self.environ)

    def add(self, message: str, doing: str, blocking: bool = True) -> None:
        """Note a problem, once."""
        problem = preflight.explain(message, doing, self.user, self.uid, blocking)
        if all(problem.remedy != known.remedy for known in self.problems):
            self.problems.append(problem)

    def run(self) -> dict[str, t.Any] | None:
        """Return the facts; None when podman cannot even tell them."""
        try:
            version = self.client.version()
        except PodmanError as error:
            self.add(error.stderr or error.message, "asking podman")
            return None
        outdated = preflight.too_old(version)
        if outdated:
            self.problems.append(outdated)
            return None
        if self.uid != 0:
            self.problems.extend(user_problems(self.user, self.uid, os.environ))
        try:
            info = self.client.run_json(["info", "--format=json"], timeout=60)
        except PodmanError as error:
            self.add(error.stderr or error.message, "asking podman for its facts")
            return None
        facts = self.facts(info, version)
        self.notes(facts)
        self.experiments(facts, info["host"].get("ociRuntime", {}).get("name", ""))
        return facts

    def facts(self, info: dict[str, t.Any], version: tuple[int, int, int]) -> dict[str, t.Any]:
        """Return what podman and the host say without an experiment."""
        systemd = self.systemd.usable()
        generator = quadlet_generator() is not None
        units = generator and version >= quadlet.MINIMUM_VERSION and self.systemd.carries_quadlet()
        root = info["store"].get("graphRoot", "")
        free = shutil.disk_usage(root).free // 2**20 if os.path.isdir(root) else None
        return preflight.stated_facts(info, systemd, systemd and units, free)

    def notes(self, facts: dict[str, t.Any]) -> None:
        """Note what works, but not well."""
        has_fuse = shutil.which("fuse-overlayfs") is not None
        found = [preflight.slow_storage(facts["storage_driver"], has_fuse)]
        if self.uid != 0:
            with open("/proc/self/mountinfo", encoding="utf-8") as stream:
                found.append(preflight.unshared_root(stream.read()))
            if facts["systemd"] and not self.systemd.lingers():
                found.append(preflight.no_linger(self.user))
        self.problems.extend(problem for problem in found if problem)

    def experiments(self, facts: dict[str, t.Any], default_runtime: str) -> None:
        """Find what really works and put it into ``facts``."""
        try:
            with Probe(self.client_for, self.run_command) as probe:
                combination = self.first_that_starts(probe, default_runtime)
                if combination is None:
                    return
                facts["runtime"] = combination.runtime
                facts["ulimits"] = combination.ulimits
                facts["run_args"] = combination.run_args
                facts["resource_limits"] = probe.start(combination, limits=True) is None
                facts["build_args"] = self.build_arguments(probe, combination)
                if not any(problem.blocking for problem in self.problems):
                    message = probe.network(combination)
                    if message:
                        self.add(message, "starting a container with fixed addresses and a published port")
        except (PodmanError, RootfsError) as error:
            message = error.stderr or error.message if isinstance(error, PodmanError) else str(error)
            self.add(message, "making a tiny image from this host's files")

    def first_that_starts(self, probe: Probe, default_runtime: str) -> Combination | None:
        """Return the first combination that starts a container and builds, else the first that starts one."""
        hard = (resource.getrlimit(limit)[1] for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC))
        ulimits = preflight.explicit_ulimits(*hard)
        installed = [name for name in self.runtimes if shutil.which(name)]
        message = None
        starts = None
        for combination in preflight.combinations(default_runtime, installed, ulimits):
            # Podman 5 fits the limits of `run` to what it may set, those of `build` not: both have to work.
            message = probe.start(combination)
            if message is None:
                starts = starts or combination
                message = probe.build(combination, None)
            if message is None:
                return combination
            self.tried.append({"way": combination.describe(), "message": last_lines(message, 1)})
        if starts is not None:
            return starts
        ways = "; ".join(f"{entry['way']}: {entry['message']}" for entry in self.tried)
        self.add(f"{message}\n{ways}", "starting a container")
        return None

    def build_arguments(self, probe: Probe, combination: Combination) -> list[str]:
        """Return arguments with which a build works."""
        message = probe.build(combination, None)
        if message is None:
            return combination.run_args
        if probe.build(combination, "chroot") is None:
            return [*combination.run_args, "--isolation=chroot"]
        self.add(message, "building an image")
        return combination.run_args
