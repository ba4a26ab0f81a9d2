#!/usr/bin/python

# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Collect what helps to find a fault on a host, without secrets and prompts."""

from __future__ import annotations

DOCUMENTATION = r"""
module: support_info
short_description: Collect what helps to find a fault, without any secret or prompt
version_added: 0.2.0
description:
  - Returns the gateway's configuration, which model is served, inspections and logs of our containers, the
    log of Skupper's router, versions and the state of the host, as texts by file names.
  - Only what is known to hold no secret, no prompt and no answer is taken. Of a log, the known fields of the
    JSON lines and lines of a known form stay; of any other line only its length does. Of environment
    variables only settings keep their values.
  - The host's keys are only there to be taken out of every text, and never returned.
extends_documentation_fragment:
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.facts_module
  - private_ai.chatbot.attributes.actiongroup_chatbot
options:
  data_directory:
    description: Where role private_model keeps things. Without it, where the role does for this user.
    type: path
  api_keys:
    description: Keys that are known to whoever asks, to take them out of every text.
    type: list
    elements: str
    default: []
  api_key_file:
    description:
      - File with the generated key, which is taken out as well. Without it, C(api-key) in O(data_directory).
    type: path
  skupper_platform:
    description: Platform of this host's Skupper site. Without it, its router's log is left out.
    type: str
    choices: [podman, docker, linux]
  skupper_namespace:
    description: Namespace of this host's Skupper site.
    type: str
    default: default
  log_lines:
    description: The last lines of each log.
    type: int
    default: 2000
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: Collect
  private_ai.chatbot.support_info:
  register: support

- name: Which files there are
  ansible.builtin.debug:
    msg: "{{ support.files.keys() }}"
"""

RETURN = r"""
files:
  description: Texts by file names. A file that could not be read says why.
  returned: always
  type: dict
  sample: {podman/version.txt: 5.4.2, logs/private-ai-gateway.log: "{...}"}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.private_ai.chatbot.plugins.module_utils.directories import default_data_directory
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.client import PodmanClient
from ansible_collections.private_ai.chatbot.plugins.module_utils.status.support import Collector, Router


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "data_directory": {"type": "path"},
            "api_keys": {"type": "list", "elements": "str", "default": [], "no_log": True},
            "api_key_file": {"type": "path", "no_log": False},
            "skupper_platform": {"type": "str", "choices": ["podman", "docker", "linux"]},
            "skupper_namespace": {"type": "str", "default": "default"},
            "log_lines": {"type": "int", "default": 2000},
        },
        supports_check_mode=True,
    )
    params = module.params
    if params["log_lines"] < 1:
        module.fail_json(msg=f"log_lines is {params['log_lines']}; at least 1 is needed")
    collector = Collector(
        PodmanClient(module.run_command),
        Path(params["data_directory"] or default_data_directory()),
        params["log_lines"],
        keys=params["api_keys"],
        key_file=Path(params["api_key_file"]) if params["api_key_file"] else None,
        router=Router(module.run_command, params["skupper_platform"], params["skupper_namespace"])
        if params["skupper_platform"]
        else None,
    )
    module.exit_json(changed=False, files=collector.files())


if __name__ == "__main__":
    main()
