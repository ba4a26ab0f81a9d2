#!/usr/bin/python

# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: find out, by really starting containers, how this host's podman can be used."""

from __future__ import annotations

DOCUMENTATION = r"""
module: podman_preflight
short_description: Find out how podman works on this host
version_added: 0.1.0
description:
  - Starts real containers from a tiny image made of the host's own files, so that no registry is needed,
    with the hardening our services have, and finds the OCI runtime and resource limits that work.
  - Also tries a build, an internal network without name server and with fixed addresses, and a published
    port.
  - Everything it makes is removed again, also in check mode, in which it does the same.
  - What is wrong is returned with its remedy. The module does not fail because of it; the caller decides.
extends_documentation_fragment:
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.facts_module
  - private_ai.chatbot.attributes.actiongroup_chatbot
options:
  executable:
    description: Name or path of the podman command on the host.
    type: str
    default: podman
  runtimes:
    description:
      - OCI runtimes to try after podman's default one, in this order. Those not installed are left out.
    type: list
    elements: str
    default: [crun, runc]
  cache_file:
    description:
      - File that remembers a result without problems, so that the same question is answered at once until the
        host is booted again or podman, an OCI runtime or a limit of the process changes.
      - Nothing is remembered in check mode.
    type: path
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: Find out how podman works here
  private_ai.chatbot.podman_preflight:
  register: preflight

- name: Stop with the remedies when it does not
  ansible.builtin.assert:
    that: preflight.problems | selectattr('blocking') | list | length == 0
    fail_msg: "{{ preflight.problems | selectattr('blocking') | map(attribute='what') | join('; ') }}"
"""

RETURN = r"""
podman:
  description: How podman can be used here; null when it is missing or too old to be asked.
  returned: always
  type: dict
  contains:
    version:
      description: Version of podman.
      type: str
    rootless:
      description: Whether it runs for an ordinary user.
      type: bool
    arch:
      description: Architecture of the host in podman's words.
      type: str
    systemd:
      description: Whether systemd answers, for the system or for this user.
      type: bool
    quadlet:
      description: Whether Quadlet units can be used.
      type: bool
    cgroup:
      description: Version of the control groups.
      type: str
    cgroup_manager:
      description: What manages them.
      type: str
    network_backend:
      description: What makes the networks.
      type: str
    runtime:
      description: OCI runtime to name; null when podman's default works.
      type: str
    ulimits:
      description: Limits to name explicitly; empty when podman's own work.
      type: dict
    run_args:
      description: The limits as arguments of C(podman run) and C(podman create).
      type: list
      elements: str
    build_args:
      description: Arguments of C(podman build) that work here.
      type: list
      elements: str
    resource_limits:
      description: Whether memory, processor and process limits can be set.
      type: bool
    storage_driver:
      description: Podman's storage driver.
      type: str
    graph_root:
      description: Directory of podman's storage.
      type: str
    graph_root_free_mb:
      description: Space left there, in megabytes of 1024 * 1024 bytes.
      type: int
  sample:
    version: 4.3.1
    rootless: false
    arch: amd64
    systemd: false
    quadlet: false
    cgroup: v1
    cgroup_manager: cgroupfs
    network_backend: netavark
    runtime: runc
    ulimits: {nofile: "20000:20000", nproc: "4096:4096"}
    run_args: ["--ulimit=nofile=20000:20000", "--ulimit=nproc=4096:4096"]
    build_args: ["--ulimit=nofile=20000:20000", "--ulimit=nproc=4096:4096"]
    resource_limits: true
    storage_driver: overlay
    graph_root: /var/lib/containers/storage
    graph_root_free_mb: 51200
problems:
  description: What the user has to do, the blocking ones first; empty when all is well.
  returned: always
  type: list
  elements: dict
  contains:
    what:
      description: What is wrong, with podman's own words.
      type: str
    remedy:
      description: What helps.
      type: str
    blocking:
      description: Whether nothing can run before it is done.
      type: bool
  sample:
    - what: "networks of ordinary users cannot be set up: /dev/net/tun is missing or may not be used"
      remedy: "as root run: modprobe tun; chmod 666 /dev/net/tun"
      blocking: true
tried:
  description: The ways to start a container that failed, with podman's message.
  returned: always
  type: list
  elements: dict
  sample:
    - way: the default runtime with podman's own limits
      message: "Error: crun: setrlimit `RLIMIT_NOFILE`: Operation not permitted: OCI permission denied"
"""

import hashlib
import json
import os
import pwd
import resource
import shutil
import signal
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.private_ai.chatbot.plugins.module_utils.files import write_file
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman import preflight, quadlet
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.client import (
    PodmanClient,
    PodmanError,
    last_lines,
    parse_version,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.common import MISSING, make_systemd
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.preflight import Combination, Problem
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.probe import Probe
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.rootfs import RootfsError
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.systemd import (
    quadlet_generator,
    session_environ,
)

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "executable": {"type": "str", "default": "podman"},
    "runtimes": {"type": "list", "elements": "str", "default": ["crun", "runc"]},
    "cache_file": {"type": "path"},
}


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


def root_is_shared(mountinfo: str) -> bool:
    """Return whether ``/`` is a shared mount, from the text of /proc/self/mountinfo."""
    for line in mountinfo.splitlines():
        fields = line.split()
        if len(fields) > 6 and fields[4] == "/":
            return any(field.startswith("shared:") for field in fields[6 : fields.index("-")])
    return False


class Preflight:
    """Collects facts and problems, cheap questions first."""

    def __init__(self, module: AnsibleModule, path: str) -> None:
        self.module = module
        self.path = path
        self.environ = session_environ(os.environ, os.geteuid())
        self.client = self.client_for(None)
        self.uid = os.geteuid()
        self.user = pwd.getpwuid(self.uid).pw_name
        self.problems: list[Problem] = []
        self.tried: list[dict[str, str]] = []

    def client_for(self, runtime: str | None) -> PodmanClient:
        """Return a client that names this runtime."""
        return PodmanClient(self.module.run_command, self.path, runtime, environ=self.environ)

    def add(self, message: str, doing: str, blocking: bool = True) -> None:
        """Note a problem, once."""
        problem = preflight.explain(message, doing, self.user, self.uid, blocking)
        if all(problem.remedy != known.remedy for known in self.problems):
            self.problems.append(problem)

    def run(self) -> dict[str, t.Any] | None:
        """Return the facts; None when podman cannot even tell them."""
        version = self.client.version()
        if version < preflight.MINIMUM_VERSION:
            have, need = (".".join(map(str, v)) for v in (version, preflight.MINIMUM_VERSION[:2]))
            self.problems.append(
                Problem(
                    f"podman is {have}", f"at least {need} is needed: use a newer release of the system", True
                )
            )
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
        host, store = info["host"], info["store"]
        manager = make_systemd(self.module)
        systemd = manager.usable()
        root = store.get("graphRoot", "")
        free = shutil.disk_usage(root).free // 2**20 if os.path.isdir(root) else None
        generator = quadlet_generator() is not None
        return {
            "version": ".".join(map(str, parse_version(info["version"]["Version"]))),
            "rootless": bool(host["security"]["rootless"]),
            "arch": host["arch"],
            "systemd": systemd,
            "quadlet": (
                systemd and generator and version >= quadlet.MINIMUM_VERSION and manager.carries_quadlet()
            ),
            "cgroup": host.get("cgroupVersion", ""),
            "cgroup_manager": host.get("cgroupManager", ""),
            "network_backend": host.get("networkBackend", ""),
            "runtime": None,
            "ulimits": {},
            "run_args": [],
            "build_args": [],
            "resource_limits": False,
            "storage_driver": store.get("graphDriverName", ""),
            "graph_root": root,
            "graph_root_free_mb": free,
        }

    def notes(self, facts: dict[str, t.Any]) -> None:
        """Note what works, but not well."""
        if facts["storage_driver"] == "vfs":
            fuse = "as root run: modprobe fuse; chmod 666 /dev/fuse"
            if shutil.which("fuse-overlayfs") is None:
                fuse = "install fuse-overlayfs"
            self.problems.append(
                Problem(
                    "podman's storage driver is vfs, which copies every layer in full (slow, large)",
                    f"{fuse}; then, before images are made, run: podman system reset",
                    False,
                )
            )
        if self.uid == 0:
            return
        with open("/proc/self/mountinfo", encoding="utf-8") as stream:
            if not root_is_shared(stream.read()):
                self.problems.append(
                    Problem(
                        "/ is not a shared mount: mounts made later may not be seen in rootless containers",
                        "as root run: mount --make-rshared /",
                        False,
                    )
                )
        if facts["systemd"] and not make_systemd(self.module).lingers():
            self.problems.append(
                Problem(
                    f"services of {self.user} end at logout and do not start at boot",
                    f"as root run: loginctl enable-linger {self.user} (podman_service tries it too)",
                    False,
                )
            )

    def experiments(self, facts: dict[str, t.Any], default_runtime: str) -> None:
        """Find what really works and put it into ``facts``."""
        try:
            with Probe(self.client_for, self.module.run_command) as probe:
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
        installed = [name for name in self.module.params["runtimes"] if shutil.which(name)]
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


def circumstances(path: str, runtimes: list[str]) -> str:
    """Return a checksum of everything that decides how containers start on this host."""
    seen: list[object] = [
        os.geteuid(),
        [resource.getrlimit(limit) for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC)],
    ]
    for program in (path, *sorted(filter(None, map(shutil.which, runtimes)))):
        found = os.stat(program)
        seen.append((program, found.st_size, found.st_mtime_ns))
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
        seen.append(stream.read().strip())
    seen.append({name: os.environ.get(name) for name in ("CONTAINERS_CONF", "XDG_RUNTIME_DIR")})
    return hashlib.sha256(repr(seen).encode()).hexdigest()


def remembered(cache_file: str, key: str) -> dict[str, t.Any] | None:
    """Return the facts found under the same circumstances; None when there are none or they are damaged."""
    try:
        with open(cache_file, encoding="utf-8") as stream:
            kept = json.load(stream)
        if kept["circumstances"] != key:
            return None
        free = os.statvfs(kept["podman"]["graph_root"])
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return {**kept["podman"], "graph_root_free_mb": free.f_bavail * free.f_frsize // (1024 * 1024)}


def remember(cache_file: str, key: str, facts: dict[str, t.Any]) -> None:
    """Keep the facts; OSError when the file cannot be written."""
    os.makedirs(os.path.dirname(cache_file), exist_ok=True)
    write_file(cache_file, json.dumps({"circumstances": key, "podman": facts}, indent=1).encode(), 0o644)


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    # A task that is aborted ends the module by a signal; this lets it clean up as after an error.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_args: module.fail_json(msg="aborted by a signal"))
    path = module.get_bin_path(module.params["executable"])
    if path is None:
        problem = Problem(
            MISSING.format(executable=module.params["executable"]).split(";")[0],
            "install it, for example: apt install podman",
            True,
        )
        module.exit_json(changed=False, podman=None, problems=[problem.as_result()], tried=[])
    cache_file = module.params["cache_file"]
    key = circumstances(path, module.params["runtimes"]) if cache_file else ""
    kept = remembered(cache_file, key) if cache_file else None
    if kept:
        module.exit_json(changed=False, podman=kept, problems=[], tried=[])
    checks = Preflight(module, path)
    try:
        facts = checks.run()
    except PodmanError as error:
        checks.add(error.stderr or error.message, "asking podman")
        facts = None
    if cache_file and facts and not checks.problems and not module.check_mode:
        try:
            remember(cache_file, key, facts)
        except OSError as error:
            module.warn(f"the result cannot be remembered in {cache_file}: {error}")
    problems = sorted(checks.problems, key=lambda problem: not problem.blocking)
    module.exit_json(
        changed=False,
        podman=facts,
        problems=[problem.as_result() for problem in problems],
        tried=checks.tried,
    )


if __name__ == "__main__":
    main()
