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
  - private_ai.chatbot.skupper.host
  - private_ai.chatbot.skupper.changes
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.actiongroup_skupper
attributes:
  idempotent:
    details:
      - Not with O(reload=always).
options:
  platform:
    description:
      - Where the site runs. On Kubernetes the controller does this.
  state:
    description:
      - V(started) starts, reloads or revives the site, and has it start with the host.
      - V(stopped) stops the router and keeps it from starting with the host. Everything stays, so that
        V(started) brings the same site back. A container engine that starts every container with the restart
        policy C(always) at boot starts it all the same.
      - V(absent) stops the site and removes the namespace with its input, certificates and identity; links
        that other sites have to it are useless then. The command calls this stop. O(backup) keeps the data.
        On O(platform=linux) it is done without the command, which fails there when no container engine runs.
      - V(installed) and V(uninstalled) keep the system controller, a container that keeps the state of links
        up to date. Only on O(platform=podman) and O(platform=docker).
    type: str
    choices: [started, stopped, absent, installed, uninstalled]
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
        directory must exist. Unpacked in the directory of the namespaces, it is brought back by
        O(state=started), with its identity.
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
      C(drop-in), C(close) (files with keys), C(enable), C(stop), C(backup), C(remove), C(install),
      C(uninstall).
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

import typing as t

from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper import lifecycle, validate
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.host import System
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import (
    CONTAINER_PLATFORMS,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.session import (
    HOST_ARGUMENTS,
    Session,
    run_module,
)

STATES = {
    "started": lifecycle.started,
    "stopped": lifecycle.stopped,
    "absent": lifecycle.absent,
    "installed": lifecycle.controller,
    "uninstalled": lifecycle.controller,
}
ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **HOST_ARGUMENTS,
    "state": {"type": "str", "choices": list(STATES), "default": "started"},
    "reload": {"type": "str", "choices": ["needed", "always", "never"], "default": "needed"},
    "reload_type": {"type": "str", "choices": ["manual", "auto"], "default": "manual"},
    "backup": {"type": "path"},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 60},
}


def run(session: Session) -> dict[str, t.Any]:
    """Read, compare, act, wait, report."""
    state = session.params["state"]
    if state in ("installed", "uninstalled"):
        validate.only_on(f"state={state}", True, session.platform, CONTAINER_PLATFORMS)
    return STATES[state](session, System(session))


def main() -> None:
    """Entry point of the module."""
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
