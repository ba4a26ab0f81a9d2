#!/usr/bin/python
# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Start, reload and remove the Skupper site of a host, and install its controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: skupper_system
short_description: Start, reload and remove the Skupper site of a host
version_added: 0.2.0
description:
  - Makes the objects of a namespace (M(private_ai.chatbot.skupper_site) and its like write them) run on this
    host.
  - Reloads only when they differ from what runs. A reload renews every certificate and drops links and
    streams for about 5 seconds; the C(skupper) command does that also when nothing has changed.
  - Starts the router again when it has stopped. On O(platform=linux) a drop-in lets systemd do so at once.
  - Closes files with keys that others may read; the command itself leaves them open.
extends_documentation_fragment:
  - private_ai.chatbot.kubernetes
  - private_ai.chatbot.skupper
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.actiongroup_skupper
attributes:
  check_mode:
    support: full
    details:
      - A command or a site that an earlier task would bring is a warning in check mode.
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - Not with O(reload=always).
options:
  platform:
    description: Where the site runs. On Kubernetes the controller does this.
    type: str
    choices: [podman, docker, linux]
    required: true
  state:
    description:
      - V(started) starts, reloads or revives the site.
      - V(absent) stops the site and removes the namespace with its input, certificates and identity; links
        that other sites have to it are useless then. The command calls this stop. O(backup) keeps the data.
        On O(platform=linux) it is done without the command, which fails there when no container engine runs.
      - V(installed) and V(uninstalled) keep the system controller, a container that keeps the state of links
        up to date. Only on O(platform=podman) and O(platform=docker).
    type: str
    choices: [started, absent, installed, uninstalled]
    default: started
  reload:
    description:
      - V(needed) reloads when the input differs from what runs, V(never) leaves that to a later task,
        V(always) reloads in any case, for example to renew the certificates.
    type: str
    choices: [needed, always, never]
    default: needed
  reload_type:
    description:
      - For O(state=installed). With V(auto) the controller reloads by itself whenever a file changes. An
        installed controller of the other type is replaced.
    type: str
    choices: [manual, auto]
    default: manual
  backup:
    description:
      - For O(state=absent), a path for an archive of the namespace. It holds keys and gets the mode 0600. Its
        directory must exist.
    type: path
  wait:
    description: Whether to wait until the router listens.
    type: bool
    default: true
  wait_timeout:
    description: Seconds to wait at most.
    type: int
    default: 60
notes:
  - The command takes a host for its own container when C(/.dockerenv) or C(/run/.containerenv) exists, and
    starts nothing there. The module says so before it touches anything.
  - An ordinary user's site ends at logout unless the user lingers (C(loginctl enable-linger)).
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: The site runs with what its files say
  private_ai.chatbot.skupper_system:
    platform: podman
    namespace: private-ai

- name: Remove it and keep the data
  private_ai.chatbot.skupper_system:
    platform: podman
    namespace: private-ai
    state: absent
    backup: /var/backups/private-ai-skupper.tar.gz
"""

RETURN = r"""
actions:
  description:
    - What was done, in check mode what would be. C(start), C(reload), C(revive) (the router had stopped),
      C(drop-in), C(close) (files with keys), C(stop), C(install), C(uninstall), C(backup).
  returned: success
  type: list
  elements: str
  sample: [reload]
system:
  description: The namespace as it is after the module.
  returned: success
  type: dict
  contains:
    namespace:
      description: Its name.
      type: str
    platform:
      description: Its platform.
      type: str
    path:
      description: Its directory.
      type: str
    started:
      description: Whether it was started.
      type: bool
    running:
      description: Whether the router runs; null when it was not asked.
      type: bool
    pending:
      description: Objects whose files differ from what runs.
      type: list
      elements: str
    uid:
      description: The site's identity in the network.
      type: str
  sample:
    namespace: private-ai
    platform: podman
    path: /var/lib/skupper/namespaces/private-ai
    started: true
    running: true
    pending: []
    uid: 978a588f-dad5-4e77-980b-1e24674db8b2
"""

import json
import os
import shutil
import time
import typing as t

from ansible_collections.private_ai.chatbot.plugins.module_utils.files import write_file
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.client import PodmanError
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.systemd import (
    Systemd,
    session_environ,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper import validate
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.ensure import Step
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.errors import (
    MissingPrerequisite,
    SkupperError,
    WaitFailed,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import (
    CONTAINER_PLATFORMS,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.namespaces import (
    CONTAINER_HOME,
    SECRET_MODE,
    FileStore,
    container_mark,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.session import (
    HOST_ARGUMENTS,
    Session,
    run_module,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.system import (
    DROP_IN,
    DROP_IN_NAME,
    State,
    answers,
    check_input,
    controller_name,
    decide,
    is_running,
    local_port,
    open_files,
    reload_type_of,
    site_of,
    unit_directory,
    unit_name,
    write_backup,
)

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **HOST_ARGUMENTS,
    "state": {
        "type": "str",
        "choices": ["started", "absent", "installed", "uninstalled"],
        "default": "started",
    },
    "reload": {"type": "str", "choices": ["needed", "always", "never"], "default": "needed"},
    "reload_type": {"type": "str", "choices": ["manual", "auto"], "default": "manual"},
    "backup": {"type": "path"},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 60},
}


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
        environ = session_environ(os.environ, uid)
        self.uid = uid
        self.systemd = Systemd(session.module.run_command, uid, environ)
        self.unit = unit_name(self.namespace)
        self.units = unit_directory(uid, os.environ)
        self.drop_in = os.path.join(self.units, f"{self.unit}.d", DROP_IN_NAME)

    def systemctl(self, *words: str, check: bool = True) -> int:
        """Run systemctl and return its status; SkupperError when it fails."""
        try:
            return self.systemd.run(words, check=check).rc
        except (PodmanError, OSError) as error:
            raise SkupperError(f"{error}; does systemd run here, for this user?") from error

    def inspect(self, name: str) -> dict[str, t.Any] | None:
        """Return a container as its engine describes it, None when there is none."""
        path = self.session.module.get_bin_path(self.platform)
        if path is None:
            raise MissingPrerequisite(
                f"{self.platform} is not on this host; install it, or choose another platform"
            )
        argv = [path, "container", "inspect", name]
        rc, stdout, _stderr = self.session.module.run_command(argv, expand_user_and_vars=False)
        found = json.loads(stdout) if rc == 0 else []
        return found[0] if found else None

    def running(self) -> bool | None:
        """Return whether the router runs, None when that cannot be asked."""
        if not self.store.started():
            return False
        if self.platform == "linux":
            try:
                return self.systemd.is_active(self.unit)
            except OSError:
                return None
        found = self.inspect(f"{self.namespace}-skupper-router")
        return found is not None and is_running(found)

    def state(self) -> State:
        """Look."""
        return State(
            defined=bool(self.store.documents.all("Site")),
            started=self.store.started(),
            pending=tuple(self.store.pending()),
            running=self.running(),
            open_files=tuple(open_files(self.store.root)),
            drop_in=self.platform != "linux" or self._drop_in() == DROP_IN,
        )

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
        self.systemctl("restart", self.unit)

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
        return f"{self.platform} logs --tail 20 {self.namespace}-skupper-router"

    def remove(self) -> None:
        """Stop the site and remove the namespace."""
        if self.store.started() and self.platform in CONTAINER_PLATFORMS:
            self.session.cli().run(["system", "stop"])
        elif self.platform == "linux" and os.path.exists(os.path.join(self.units, self.unit)):
            # The command opens the socket of a container engine first, which a linux site need not have.
            self.systemctl("disable", "--now", self.unit)
            os.unlink(os.path.join(self.units, self.unit))
            shutil.rmtree(os.path.dirname(self.drop_in), ignore_errors=True)
            self.systemctl("daemon-reload")
            self.systemctl("reset-failed", self.unit, check=False)
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


def refuse_mistaken_host(platform: str) -> None:
    """Refuse a host that the command would take for its own container."""
    mark = container_mark()
    if mark and not os.path.isdir(CONTAINER_HOME):
        raise SkupperError(
            f"the skupper command takes this host for its own container because {mark} exists, and would "
            "not start "
            f"a site on platform {platform}; remove {mark} if this is a host (nothing else needs it), or run "
            "Skupper on the host of this container"
        )


def started(session: Session, system: System) -> dict[str, t.Any]:
    """Make the site run with its input."""
    params = session.params
    state = system.state()
    if not state.defined:
        session.excuse(
            MissingPrerequisite(
                f"namespace {session.namespace} has no site in {system.store.input}; make it first with "
                "the module "
                "skupper_site"
            )
        )
    for warning in check_input(system.store.documents):
        session.warnings.append(warning)
    words = decide(state, params["reload"])
    if "start" in words or "reload" in words:
        try:
            cli = session.cli()
            refuse_mistaken_host(session.platform)
        except MissingPrerequisite as error:
            session.excuse(error)
    calls: dict[str, t.Callable[[], t.Any]] = {
        "close": lambda: system.close_files(state.open_files),
        "drop-in": system.write_drop_in,
        "start": lambda: cli.run(["system", "start"]),
        "reload": lambda: cli.run(["system", "reload"]),
        "revive": system.revive,
    }
    steps: list[Step] = [(f"{word} of namespace {session.namespace}", calls[word]) for word in words]
    session.act(steps)
    moved = any(word in words for word in ("start", "reload", "revive"))
    if moved and params["wait"] and not session.module.check_mode:
        system.wait()
    before = {"running": state.running, "pending": list(state.pending), "open files": list(state.open_files)}
    settled = "reload" in words or "start" in words
    after = {
        "running": True if moved else state.running,
        "pending": [] if settled else list(state.pending),
        "open files": [],
    }
    if not state.drop_in:
        before["restart by systemd"], after["restart by systemd"] = False, True
    running = state.running if session.module.check_mode or not moved else system.running()
    return {
        "changed": bool(words),
        "actions": words,
        "system": system.describe(running),
        "diff": {"before": before, "after": after},
    }


def absent(session: Session, system: System) -> dict[str, t.Any]:
    """Stop the site and remove the namespace."""
    there = os.path.isdir(system.store.root)
    unit = os.path.join(system.units, system.unit)
    left = there or (session.platform == "linux" and os.path.exists(unit))
    backup = session.params["backup"]
    steps: list[Step] = []
    words: list[str] = []
    if there and backup:
        words.append("backup")
        steps.append(("writing the backup", lambda: write_backup(system.store.root, backup)))
    if left:
        words.append("stop")
        steps.append((f"removing namespace {session.namespace}", system.remove))
    before = {"namespace": session.namespace, "started": system.store.started()} if left else {}
    session.act(steps)
    return {
        "changed": left,
        "actions": words,
        "system": system.describe(False),
        "diff": {"before": before, "after": {}},
    }


def controller(session: Session, system: System) -> dict[str, t.Any]:
    """Install or uninstall the system controller."""
    params = session.params
    wanted = params["state"] == "installed"
    found = None
    try:
        found = system.inspect(controller_name(system.uid))
    except MissingPrerequisite as error:
        session.excuse(error)
    now = {"reload_type": reload_type_of(found), "running": is_running(found)} if found else {}
    goal = {"reload_type": params["reload_type"], "running": True} if wanted else {}
    words: list[str] = []
    if now and now != goal:
        words.append("uninstall")
    if goal and now != goal:
        words.append("install")
    calls: dict[str, t.Callable[[], t.Any]] = {
        "uninstall": lambda: remove_controller(session, system),
        "install": lambda: session.cli().run(["system", "install", "--reload-type", params["reload_type"]]),
    }
    session.act([(f"{word} of the system controller", calls[word]) for word in words])
    return {
        "changed": bool(words),
        "actions": words,
        "system": system.describe(None),
        "diff": {"before": {"controller": now}, "after": {"controller": goal}},
    }


def remove_controller(session: Session, system: System) -> None:
    """Remove the controller's container: the command refuses while a site is active, or removes it, too."""
    path = session.module.get_bin_path(system.platform, required=True)
    argv = [path, "rm", "--force", controller_name(system.uid)]
    rc, stdout, stderr = session.module.run_command(argv, expand_user_and_vars=False)
    if rc != 0:
        raise SkupperError(f"{' '.join(argv)} failed with exit status {rc}: {(stderr or stdout).strip()}")


def run(session: Session) -> dict[str, t.Any]:
    """Read, compare, act, wait, report."""
    state = session.params["state"]
    system = System(session)
    if state in ("installed", "uninstalled"):
        validate.only_on(f"state={state}", True, session.platform, CONTAINER_PLATFORMS)
        return controller(session, system)
    return absent(session, system) if state == "absent" else started(session, system)


def main() -> None:
    """Entry point of the module."""
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
