#!/usr/bin/python
# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Say at a glance whether a host is as the last complete run left it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: converged
short_description: Say at a glance whether a host is as the last complete run left it
version_added: 0.2.0
description:
  - Looks at everything that a role keeps on a host with few questions, and compares it with a note that the
    role's last complete run left (O(state=noted)). When nothing is different (RV(same)), no task of the role
    has to look for itself.
  - Containers count by what M(private_ai.chatbot.podman_service) compares and by their state, files by what
    the file system says of them, so nothing large is read. Whatever is different, the whole role looks for
    itself.
  - The note is a cache of mode 0600 with checksums only, its being written is no change. Without it, or with
    one that cannot be read, nothing is the same.
extends_documentation_fragment:
  - private_ai.chatbot.podman
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.actiongroup_chatbot
attributes:
  check_mode:
    support: full
    details:
      - No note is written.
  diff_mode:
    support: none
    details:
      - There is never a change to show; RV(stale) names what is different.
  idempotent:
    support: full
options:
  path:
    description: File of the note. The mode of its directory counts, too; nothing is noted while there is no
      such directory.
    type: path
    required: true
  state:
    description:
      - V(compared), is all of it as noted?
      - V(noted), note what there is now.
    type: str
    choices: [compared, noted]
    default: compared
  settings:
    description: What the role was given, by name. Only checksums of the values are kept; give checksums of
      secret ones.
    type: dict
    required: true
  inputs:
    description: Files and directories of the owner.
    type: list
    elements: path
    default: []
  results:
    description: Files and directories that the role keeps.
    type: list
    elements: path
    default: []
  containers:
    description: Regular expression that the whole names of the role's containers fit, those that are too many
      among them.
    type: str
    required: true
  networks:
    description: Names of networks.
    type: list
    elements: str
    default: []
  secrets:
    description: Names of Podman's secrets. Their data are not looked at; other data have another identity.
    type: list
    elements: str
    default: []
  images:
    description: Names of images.
    type: list
    elements: str
    default: []
  url:
    description: Address that answers with JSON whose C(up) is the number of servers that answer.
    type: str
  key_file:
    description: File with the key for O(url).
    type: path
  key:
    description: The key itself, instead of O(key_file).
    type: str
  keep:
    description: Values to remember with O(state=noted), for RV(kept).
    type: dict
    default: {}
  seen:
    description:
      - With O(state=noted), RV(seen) of the look that began the run. When one of O(inputs) was changed in
        between, nothing is noted.
    type: dict
  verify:
    description: V(full) takes no note for granted.
    type: str
    choices: [quick, full]
    default: quick
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: Is all of it as it was
  private_ai.chatbot.converged: &all
    path: /var/lib/private-ai/.converged.json
    settings: {replicas: 2}
    results: [/var/lib/private-ai/gateway]
    containers: private-ai-(gateway|model-[0-9]+)
    networks: [private-ai-model]
  register: glance

- name: Everything looks for itself
  ansible.builtin.include_tasks: everything.yml
  when: not glance.same

- name: It is now
  private_ai.chatbot.converged:
    <<: *all
    state: noted
    seen: "{{ glance.seen }}"
  when: not glance.same
"""

RETURN = r"""
same:
  description: Whether all of it is as noted.
  returned: always
  type: bool
  sample: true
stale:
  description: Names of what is different, C(note) when there is none.
  returned: always
  type: list
  elements: str
  sample: [container private-ai-model-1, settings private_model_replicas]
seen:
  description: Checksums of the state of O(inputs).
  returned: always
  type: dict
  sample: {/srv/training/products.jsonl: 2c26b46b68ffc68ff99b453c1d304134}
kept:
  description: What O(keep) was when it was noted; empty when not all of it is as noted.
  returned: always
  type: dict
  sample: {name: products}
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.private_ai.chatbot.plugins.module_utils import recipe
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman import glance, memory
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.client import (
    PodmanClient,
    PodmanError,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.common import (
    COMMON_ARGUMENTS,
    make_systemd,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.systemd import session_environ

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **COMMON_ARGUMENTS,
    "path": {"type": "path", "required": True},
    "state": {"type": "str", "choices": ["compared", "noted"], "default": "compared"},
    "settings": {"type": "dict", "required": True},
    "inputs": {"type": "list", "elements": "path", "default": []},
    "results": {"type": "list", "elements": "path", "default": []},
    "containers": {"type": "str", "required": True},
    "networks": {"type": "list", "elements": "str", "default": []},
    "secrets": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "images": {"type": "list", "elements": "str", "default": []},
    "url": {"type": "str"},
    "key_file": {"type": "path", "no_log": False},
    "key": {"type": "str", "no_log": True},
    "keep": {"type": "dict", "default": {}},
    "seen": {"type": "dict"},
    "verify": {"type": "str", "choices": ["quick", "full"], "default": "quick"},
}


def key_of(params: t.Mapping[str, t.Any]) -> str:
    """Return the key for the address; empty without one."""
    if params["key"] or not params["key_file"]:
        return params["key"] or ""
    try:
        with open(params["key_file"], encoding="utf-8") as stream:
            return stream.read(1024).strip()
    except (OSError, ValueError):
        return ""


def look(module: AnsibleModule, path: str) -> dict[str, str]:
    """Return a checksum for each thing that may drift."""
    params, environ = module.params, session_environ(os.environ, os.geteuid())
    client = PodmanClient(module.run_command, path, params["runtime"], environ=environ)
    found = glance.containers(client, params["containers"])
    found |= glance.units(make_systemd(module), environ, list(found))
    found |= glance.networks(client, params["networks"])
    found |= glance.secrets(client, params["secrets"])
    found |= glance.images(client, params["images"])
    found |= recipe.fingerprints(params["results"])
    folder = os.stat(os.path.dirname(params["path"]))
    found["mode"] = recipe.digest([folder.st_mode, folder.st_uid, folder.st_gid])
    found |= {"processor": glance.processor(), "podman": memory.circumstances(path, ["crun", "runc"])}
    if params["url"]:
        found[params["url"]] = glance.answers(params["url"], key_of(params))
    return found


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """Look, then compare or note."""
    params = module.params
    result: dict[str, t.Any] = {"changed": False, "same": False, "stale": [], "seen": {}, "kept": {}}
    result["seen"] = inputs = recipe.fingerprints(params["inputs"])
    noted = None if params["verify"] == "full" else recipe.read(params["path"])
    if params["state"] == "compared" and noted is None:
        return {**result, "stale": ["note"]}
    path = module.get_bin_path(params["executable"])
    if path is None or not os.path.isdir(os.path.dirname(params["path"])):
        return {**result, "stale": ["podman" if path is None else os.path.dirname(params["path"])]}
    try:
        found = look(module, path)
    except PodmanError as error:
        return {**result, "stale": [f"podman: {error.message}"]}
    now = recipe.note(params["settings"], inputs, found, "")
    if params["state"] == "noted":
        # Nobody compared what was changed since the run began.
        noted = {**now, "inputs": params["seen"] or {}, "keep": params["keep"]}
    stale = recipe.differences(noted, now)
    if params["url"] and not found[params["url"]]:
        stale.append(params["url"])
    if stale or noted is None:
        return {**result, "stale": stale}
    if params["state"] == "noted" and not module.check_mode:
        recipe.write(params["path"], noted)
    return {**result, "same": True, "kept": noted.get("keep", {})}


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS, supports_check_mode=True, mutually_exclusive=[("key", "key_file")]
    )
    try:
        module.exit_json(**run(module))
    except (ValueError, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
