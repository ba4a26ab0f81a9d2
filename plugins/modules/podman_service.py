#!/usr/bin/python

# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: one long-running container, kept by podman or by a Quadlet unit."""

from __future__ import annotations

DOCUMENTATION = r"""
module: podman_service
short_description: Keep one container running as described
version_added: 0.1.0
description:
  - Describes one long-running container. It is created when missing, replaced when anything it was made from
    has changed, and started when it does not run.
  - The checksum of the description, with the identities of its image and its secrets, is kept in the label
    C(io.private-ai.chatbot.spec), and the description itself in C(io.private-ai.chatbot.rendered), so that
    nothing
    is compared with podman's changing defaults.
  - A replaced container serves until its successor has been created, and comes back when the successor does
    not
    get up; then the task fails with the last log lines.
  - Where systemd and Podman 4.4 or newer exist, the same description becomes a Quadlet unit.
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
    description: Name of the container, and of its unit.
    type: str
    required: true
  state:
    description:
      - V(started), the container exists as described and runs.
      - V(stopped), it exists as described and does not run.
      - V(absent), neither the container nor its unit exists. Volumes that podman made for it without a name
        go too.
    type: str
    choices: [started, stopped, absent]
    default: started
  backend:
    description:
      - V(container), podman itself keeps the container running by a restart policy.
      - V(quadlet), systemd does, by a unit in C(/etc/containers/systemd) or C(~/.config/containers/systemd);
        for an ordinary user lingering is enabled.
      - V(auto), V(quadlet) where systemd answers and podman is new enough, otherwise V(container). Units of
        an ordinary user need version 2 of the control groups.
      - With V(container) on a host with systemd, C(podman-restart.service) is enabled if O(restart=always),
        because nothing else starts such containers after a reboot.
    type: str
    choices: [auto, container, quadlet]
    default: auto
  image:
    description:
      - Name of a local image. It is never pulled. Needed unless O(state=absent).
    type: str
  command:
    description: Arguments after the image, one word per item.
    type: list
    elements: str
  entrypoint:
    description: Replaces the image's entry point, one word per item.
    type: list
    elements: str
  env:
    description: Environment variables. Not for secrets, which belong into O(secrets).
    type: dict
  hostname:
    description: Name the container gives itself.
    type: str
  hosts:
    description: Names for the container's C(/etc/hosts), with their addresses.
    type: dict
  dns:
    description: Name servers; V(none) leaves the image's C(/etc/resolv.conf) alone.
    type: list
    elements: str
  networks:
    description: Networks to be on. Without any, podman's default network is used.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of a network, or a mode such as V(none).
        type: str
        required: true
      ip:
        description:
          - Fixed address in that network. With an IPv4 address the container gets a hardware address made of
            it, so that others on the network reach at once what took the place of another container.
        type: str
  publish:
    description: Ports, such as V(127.0.0.1:8080:5000).
    type: list
    elements: str
  mounts:
    description: What is mounted into the container.
    type: list
    elements: dict
    suboptions:
      type:
        description: Kind of the mount.
        type: str
        choices: [bind, volume, tmpfs]
        default: bind
      source:
        description: Path on the host, or name of the volume.
        type: str
      target:
        description: Path in the container.
        type: str
        required: true
      read_only:
        description: Whether the container may not write there.
        type: bool
        default: false
      options:
        description: More options of podman's C(--mount), such as V(relabel=shared) or V(tmpfs-size=64m).
        type: list
        elements: str
  secrets:
    description: Podman secrets the container gets. A secret whose data changed replaces the container.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the secret.
        type: str
        required: true
      type:
        description: How it is given, as an environment variable or as a file.
        type: str
        choices: [env, mount]
        default: mount
      target:
        description: Name of the variable, or path of the file (below C(/run/secrets) when relative).
        type: str
      uid:
        description: Owner of the file.
        type: int
      gid:
        description: Group of the file.
        type: int
      mode:
        description: Mode of the file, such as V('0400').
        type: str
  user:
    description: User in the container, as C(uid) or C(uid:gid).
    type: str
  read_only:
    description:
      - Whether the root file system is read-only (podman then puts a tmpfs on /tmp, /run and /var/tmp).
    type: bool
    default: false
  cap_drop:
    description: Capabilities taken away, such as V(all).
    type: list
    elements: str
  cap_add:
    description: Capabilities given.
    type: list
    elements: str
  security_opt:
    description: Security options, such as V(no-new-privileges).
    type: list
    elements: str
  ulimits:
    description: Limits by name, such as V(nofile) with the value V(1024:1024).
    type: dict
  memory:
    description: Most memory, such as V(512m).
    type: str
  cpus:
    description: Most processor time, in processors, such as V('1.5').
    type: str
  pids_limit:
    description: Most processes.
    type: int
  stop_timeout:
    description: Seconds between the stop signal and SIGKILL.
    type: int
  stop_signal:
    description: Signal that asks the container to end.
    type: str
  restart:
    description: When the container is started again after it has ended by itself.
    type: str
    choices: [always, on-failure, unless-stopped, 'no']
    default: always
  init:
    description: Whether a small init process runs as number 1 and collects dead children.
    type: bool
    default: false
  log_driver:
    description: Podman's log driver, such as V(k8s-file) or V(journald).
    type: str
  log_opts:
    description: Options of the log driver, such as V(max-size) with V(10mb).
    type: dict
  labels:
    description: More labels. Those beginning with C(io.private-ai.chatbot) are the module's own.
    type: dict
  extra_args:
    description: More arguments of C(podman create), as they are.
    type: list
    elements: str
  triggers:
    description:
      - Names and checksums of what the container reads only when it starts, such as mounted files.
        Another checksum replaces the container.
    type: dict
  wait_timeout:
    description: Seconds to wait until the container runs steadily and O(ready_command) succeeds.
    type: int
    default: 60
  ready_command:
    description:
      - Command run inside the container after a start; the container counts as up when it ends with 0.
      - Without it, one second of running without a restart is enough.
    type: list
    elements: str
seealso:
  - module: private_ai.chatbot.podman_preflight
  - module: private_ai.chatbot.podman_network
  - module: private_ai.chatbot.podman_secret
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: Serve a model on an internal network, without any right it does not need
  private_ai.chatbot.podman_service:
    name: private-ai-model-1
    image: localhost/private-ai/ilab:0.26.1
    command: [ilab, --config=DEFAULT, model, serve, --model-path, /models/model.gguf]
    networks:
      - name: private-ai-model
        ip: 10.131.77.11
    mounts:
      - source: /var/lib/private-ai/models
        target: /models
        read_only: true
    secrets:
      - name: private-ai-inner-key
        type: env
        target: API_KEY
    user: "1001"
    read_only: true
    cap_drop: [all]
    security_opt: [no-new-privileges]
    runtime: "{{ preflight.podman.runtime }}"
    ulimits: "{{ preflight.podman.ulimits }}"
    stop_timeout: 10
    triggers:
      model: "{{ model.sha256 }}"

- name: Remove it
  private_ai.chatbot.podman_service:
    name: private-ai-model-1
    state: absent
"""

RETURN = r"""
backend:
  description: What keeps the container running.
  returned: when O(state) is not V(absent)
  type: str
  sample: container
actions:
  description: What was done, or in check mode would be done, in order.
  returned: always
  type: list
  elements: str
  sample: [create private-ai-model-1, start private-ai-model-1]
reasons:
  description: Why something had to be done.
  returned: when O(state) is not V(absent)
  type: list
  elements: str
  sample: [does not exist]
spec_digest:
  description: SHA-256 of the description with its image and secrets.
  returned: when O(state) is not V(absent)
  type: str
  sample: 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
container:
  description: The container as it is after the module; null when there is none.
  returned: always
  type: dict
  contains:
    id:
      description: Podman's identity of the container.
      type: str
    status:
      description: Podman's word for its state.
      type: str
    image_id:
      description: Identity of the image it was made from.
      type: str
    addresses:
      description: Address in each network.
      type: dict
  sample:
    id: 6ef0d4f5c2b3
    status: running
    image_id: 1f1c8a6b5f0e
    addresses:
      private-ai-model: 10.131.77.11
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.client import PodmanError
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.common import (
    COMMON_ARGUMENTS,
    fail,
    make_client,
    make_systemd,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.reconcile import Reconciler
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.systemd import unit_directory

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **COMMON_ARGUMENTS,
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["started", "stopped", "absent"], "default": "started"},
    "backend": {"type": "str", "choices": ["auto", "container", "quadlet"], "default": "auto"},
    "image": {"type": "str"},
    "command": {"type": "list", "elements": "str"},
    "entrypoint": {"type": "list", "elements": "str"},
    "env": {"type": "dict"},
    "hostname": {"type": "str"},
    "hosts": {"type": "dict"},
    "dns": {"type": "list", "elements": "str"},
    "networks": {
        "type": "list",
        "elements": "dict",
        "options": {"name": {"type": "str", "required": True}, "ip": {"type": "str"}},
    },
    "publish": {"type": "list", "elements": "str"},
    "mounts": {
        "type": "list",
        "elements": "dict",
        "options": {
            "type": {"type": "str", "choices": ["bind", "volume", "tmpfs"], "default": "bind"},
            "source": {"type": "str"},
            "target": {"type": "str", "required": True},
            "read_only": {"type": "bool", "default": False},
            "options": {"type": "list", "elements": "str"},
        },
    },
    "secrets": {
        "type": "list",
        "elements": "dict",
        "no_log": False,
        "options": {
            "name": {"type": "str", "required": True},
            "type": {"type": "str", "choices": ["env", "mount"], "default": "mount"},
            "target": {"type": "str"},
            "uid": {"type": "int"},
            "gid": {"type": "int"},
            "mode": {"type": "str"},
        },
    },
    "user": {"type": "str"},
    "read_only": {"type": "bool", "default": False},
    "cap_drop": {"type": "list", "elements": "str"},
    "cap_add": {"type": "list", "elements": "str"},
    "security_opt": {"type": "list", "elements": "str"},
    "ulimits": {"type": "dict"},
    "memory": {"type": "str"},
    "cpus": {"type": "str"},
    "pids_limit": {"type": "int"},
    "stop_timeout": {"type": "int"},
    "stop_signal": {"type": "str"},
    "restart": {
        "type": "str",
        "choices": ["always", "on-failure", "unless-stopped", "no"],
        "default": "always",
    },
    "init": {"type": "bool", "default": False},
    "log_driver": {"type": "str"},
    "log_opts": {"type": "dict"},
    "labels": {"type": "dict"},
    "extra_args": {"type": "list", "elements": "str"},
    "triggers": {"type": "dict"},
    "wait_timeout": {"type": "int", "default": 60},
    "ready_command": {"type": "list", "elements": "str"},
}


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_if=[("state", "started", ["image"]), ("state", "stopped", ["image"])],
    )
    directory = unit_directory(os.geteuid(), os.environ)
    service = Reconciler(
        make_client(module), make_systemd(module), directory, module.params, module.check_mode
    )
    try:
        module.exit_json(**service.run())
    except (ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    except PodmanError as error:
        fail(module, error, **service.result)


if __name__ == "__main__":
    main()
