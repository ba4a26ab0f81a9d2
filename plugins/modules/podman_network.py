#!/usr/bin/python

# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: one podman bridge network."""

from __future__ import annotations

DOCUMENTATION = r"""
module: podman_network
short_description: Keep one podman bridge network
version_added: 0.1.0
description:
  - Makes a bridge network with a fixed subnet and compares an existing one with it.
  - Exists beside C(containers.podman.podman_network), because that module cannot run in check mode and sets
    no labels.
  - With Podman 3.4 (Ubuntu 22.04) it writes the files of CNI itself, because its own have a route out,
    internal or not. There O(disable_dns) has to be V(true), O(options) empty and O(subnet) one of IPv4.
extends_documentation_fragment:
  - private_ai.chatbot.podman
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.actiongroup_chatbot
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  name:
    description: Name of the network.
    type: str
    required: true
  state:
    description: Whether the network exists.
    type: str
    choices: [present, absent]
    default: present
  subnet:
    description: Addresses of the network, such as V(10.131.77.0/24). Needed for O(state=present).
    type: str
  gateway:
    description: Address of the host in the network. Without it podman chooses, and it is not compared.
    type: str
  internal:
    description: Whether the network has no route out of the host.
    type: bool
    default: false
  disable_dns:
    description:
      - Whether podman runs no name server for the network. Its name server answers outside names even on an
        internal
        network, so that data could leave by DNS.
    type: bool
    default: false
  options:
    description: Options of the network's driver, such as V(isolate) with the value V(true).
    type: dict
  force:
    description:
      - A network cannot be changed or removed while containers are on it. With V(true), containers that
        this collection
        made are removed with it (M(private_ai.chatbot.podman_service) makes them again); others never are,
        the task then fails
        and names them.
    type: bool
    default: false
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: A network from which nothing can be reached
  private_ai.chatbot.podman_network:
    name: private-ai-model
    subnet: 10.131.77.0/24
    internal: true
    disable_dns: true

- name: Remove it with the containers of this collection that are on it
  private_ai.chatbot.podman_network:
    name: private-ai-model
    state: absent
    force: true
"""

RETURN = r"""
network:
  description: The network as it is after the module; null when there is none.
  returned: always
  type: dict
  contains:
    name:
      description: Name of the network.
      type: str
    id:
      description: Podman's identity of the network.
      type: str
    subnet:
      description: Its addresses.
      type: str
    gateway:
      description: Address of the host in it; null when podman gave none (internal networks of some versions).
      type: str
    internal:
      description: Whether it has no route out.
      type: bool
    disable_dns:
      description: Whether it has no name server.
      type: bool
    options:
      description: Options of the driver.
      type: dict
    interface:
      description: Name of the bridge on the host.
      type: str
  sample:
    name: private-ai-model
    id: e44bf0002678
    subnet: 10.131.77.0/24
    gateway: null
    internal: true
    disable_dns: true
    options: {}
    interface: podman1
removed_containers:
  description: Containers that were (or in check mode would be) removed because O(force=true).
  returned: always
  type: list
  elements: str
  sample: []
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman import cni
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.client import (
    PodmanClient,
    PodmanError,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.common import (
    COMMON_ARGUMENTS,
    finish,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.interfaces import addresses
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.network import (
    COMPARED,
    attached_args,
    check_free,
    create_args,
    different,
    observe,
    split_attached,
    subnets_of,
    subnets_of_links,
    validate,
    wanted_network,
)

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **COMMON_ARGUMENTS,
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "subnet": {"type": "str"},
    "gateway": {"type": "str"},
    "internal": {"type": "bool", "default": False},
    "disable_dns": {"type": "bool", "default": False},
    "options": {"type": "dict"},
    "force": {"type": "bool", "default": False},
}


def clear(client: PodmanClient, name: str, force: bool, check_mode: bool) -> list[str]:
    """Remove our containers from the network and return their names; PodmanError when others are on it."""
    names = [name, *cni.NetworkFiles(client).seats(name)]
    ours, others = split_attached(client.run_json(attached_args(names)) or [])
    if others:
        raise PodmanError(
            f"network {name} has to be replaced or removed, but containers this collection did not make "
            f"are on it: "
            f"{', '.join(others)}; remove them or take them off (podman network disconnect {name} CONTAINER)"
        )
    if ours and not force:
        raise PodmanError(
            f"network {name} has to be replaced or removed, but containers are on it: {', '.join(ours)}; "
            f"remove them first, or set force=true to have them removed"
        )
    if ours and not check_mode:
        client.run(["stop", *ours], check=False)
        client.run(["rm", "--force", "--volumes", *ours])
    return ours


def in_use(client: PodmanClient, name: str, interface: str) -> list[tuple[str, str, str]]:
    """Return the subnets in use here, but for those of this network and its interface."""
    found = subnets_of(client.run_json(["network", "ls", "--format=json"]) or [], name)
    links = {link: address for link, address in addresses().items() if link != interface}
    return found + subnets_of_links(links)


def run(module: AnsibleModule, client: PodmanClient) -> dict[str, t.Any]:
    """Read, compare, act, report."""
    params, name = module.params, module.params["name"]
    if params["state"] == "present":
        validate(params)
    found, files = client.inspect("network", name), cni.NetworkFiles(client)
    now = observe(found)
    wanted = wanted_network(params) if params["state"] == "present" else None
    changed = (now is None) != (wanted is None) or (
        now is not None and wanted is not None and different(now, wanted)
    )
    removed: list[str] = []
    shown = {key: now[key] for key in COMPARED} if now else {}
    after = {} if wanted is None else {**shown, **wanted} if changed else shown
    if changed:
        by_files = wanted is not None and files.apply()
        if wanted is not None and by_files:
            cni.check(wanted)
        elif wanted is not None and wanted["subnet"] != shown.get("subnet"):
            check_free(wanted["subnet"], in_use(client, name, (now or {}).get("interface", "")))
        if now is not None:
            removed = clear(client, name, params["force"], module.check_mode)
            if not module.check_mode:
                files.leave(name)
                client.run(["network", "rm", name])
        if wanted is not None and not module.check_mode:
            if by_files:
                files.make(wanted)
            else:
                client.run(create_args(wanted))
        if not module.check_mode:
            now = observe(client.inspect("network", name))
    return {
        "changed": changed,
        "network": now,
        "removed_containers": removed,
        "diff": {"before": shown, "after": after},
    }


def main() -> None:
    """Entry point of the module."""
    finish(
        AnsibleModule(
            argument_spec=ARGUMENTS, supports_check_mode=True, required_if=[("state", "present", ["subnet"])]
        ),
        run,
    )


if __name__ == "__main__":
    main()
