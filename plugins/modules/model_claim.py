#!/usr/bin/python
# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Let one run at a time change what a host serves."""

from __future__ import annotations

DOCUMENTATION = r"""
module: model_claim
short_description: Let one run at a time change what a host serves
version_added: 0.2.0
description:
  - Writes down that this run of Ansible changes which model a host serves, and fails at once while another
    run does. The task is no change of the host, and does nothing in check mode.
  - A run that has ended without giving it back is passed over, when it ran on the same control node. Of a
    run elsewhere nobody can see whether it was killed; it counts for two hours.
  - With O(serves) it also fails when another run has changed what is served since this one looked.
extends_documentation_fragment:
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.actiongroup_chatbot
attributes:
  check_mode:
    support: full
    details:
      - Nothing is looked at, because nothing will be changed.
  diff_mode:
    support: none
    details:
      - There is never a change to show.
  idempotent:
    support: full
options:
  path:
    description: Directory of the store, as in M(private_ai.chatbot.model_store). It must be there.
    type: path
    required: true
  state:
    description:
      - V(present), this run has it until it gives it back or ends.
      - V(absent), this run does not have it any more.
    type: str
    choices: [present, absent]
    default: present
  serves:
    description: SHA-256 of the model that is served as far as this run knows, empty for none. Without it,
      nothing is compared.
    type: str
  _run:
    description: Which run this is. Set by the action plugin, refused in a task.
    type: dict
  _ended:
    description: Which other run has ended. Set by the action plugin, refused in a task.
    type: str
seealso:
  - module: private_ai.chatbot.model_store
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: What is served
  private_ai.chatbot.model_store:
    path: /var/lib/private-ai
  register: store

- name: One run at a time
  block:
    - name: Only this one
      private_ai.chatbot.model_claim:
        path: /var/lib/private-ai
        serves: "{{ (store.served.current or {}).sha256 | default('') }}"

    - name: Serve another model
      ansible.builtin.include_tasks: serve.yml
  always:
    - name: Others may
      private_ai.chatbot.model_claim:
        path: /var/lib/private-ai
        state: absent
"""

RETURN = r"""
holder:
  description: The run that has it.
  returned: when another run has it
  type: dict
  sample: {pid: 4711, host: control.example.com}
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.private_ai.chatbot.plugins.module_utils import claim
from ansible_collections.private_ai.chatbot.plugins.module_utils.store import Store, identity

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "path": {"type": "path", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "serves": {"type": "str"},
    # From the action plugin, which knows the control node.
    "_run": {"type": "dict"},
    "_ended": {"type": "str"},
}


def check_served(store: Store, serves: str) -> None:
    """Raise ValueError when another model is served than ``serves``."""
    current = store.state()["current"]
    found = current["sha256"] if current else ""
    if found != serves.lower():
        raise ValueError(
            f"another run has meanwhile put {identity(found) or 'nothing'} in the place of "
            f"{identity(serves) or 'nothing'}, which was served when this run began; run it again, and it "
            "begins with that"
        )


def run(module: AnsibleModule) -> None:
    """Take it or give it back."""
    params = module.params
    if not params["_run"]:
        raise ValueError("this module needs its action plugin; call it from a play of this collection")
    if module.check_mode:
        return
    if params["state"] == "absent":
        claim.give_back(params["path"], params["_run"])
        return
    claim.take(params["path"], params["_run"], params["_ended"] or "")
    if params["serves"] is not None:
        try:
            check_served(Store(params["path"]), params["serves"])
        except ValueError:
            claim.give_back(params["path"], params["_run"])
            raise


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        run(module)
        module.exit_json(changed=False)
    except claim.Held as error:
        module.fail_json(msg=str(error), holder=error.holder)
    except (ValueError, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
