#!/usr/bin/python

# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell the state of the parts of the solution on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: solution_info
short_description: Tell the state of model, gateway and chatbot on a host
version_added: 0.2.0
description:
  - Asks containers, gateway and chatbot on a host each by itself, and reads which model is served, and
    which certificates end when.
  - What does not answer is a result, not a failure of the module.
  - The key of the gateway is only sent to the gateway; it is never returned.
extends_documentation_fragment:
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.facts_module
  - private_ai.chatbot.attributes.actiongroup_chatbot
options:
  sides:
    description: Which sides of the solution this host has.
    type: list
    elements: str
    choices: [private, public]
    default: [private, public]
  data_directory:
    description: Where role private_model keeps things. Without it, where the role does for this user.
    type: path
  api_key:
    description: A key of the gateway.
    type: str
  api_key_file:
    description:
      - File with a key of the gateway, instead of O(api_key).
      - Without either, C(api-key) in O(data_directory).
    type: path
  gateway_url:
    description: The gateway.
    type: str
    default: http://127.0.0.1:8000
  gateway_metrics_url:
    description: The gateway's metrics.
    type: str
    default: http://127.0.0.1:8404/metrics
  chatbot_url:
    description: The chatbot.
    type: str
    default: http://127.0.0.1:8080
  skupper_directory:
    description: Where Skupper keeps its namespaces on this host. Without it, where it does for this user.
    type: path
  timeout:
    description: Seconds that a part may take to answer.
    type: int
    default: 5
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: Look at a host that is both sides
  private_ai.chatbot.solution_info:
  register: solution

- name: Look at a gateway with keys of the owner's own
  private_ai.chatbot.solution_info:
    sides: [private]
    api_key: "{{ vault_gateway_key }}"
  register: solution

- name: Show the parts
  ansible.builtin.debug:
    var: solution.parts
"""

RETURN = r"""
parts:
  description: Each part with its side, state (V(up), V(down) or V(absent)) and what is known.
  returned: always
  type: list
  elements: dict
  sample: [{part: gateway answers, side: private, state: up, detail: 1 replicas up}]
gateway:
  description: Queue, replicas and version; null when it does not answer.
  returned: always
  type: dict
  sample: {queued: 0, active: 0, up: 1, limit: 100, version: 3.0.11, replicas: [{name: model-1, up: true}]}
model:
  description: The model that is served and the one before, as M(private_ai.chatbot.model_store) tells them.
  returned: always
  type: dict
  sample: {current: {name: private-ai-demo, sha256: bc34356bed68}, previous: null, kept: 1}
chatbot:
  description: Address, version and the model as the chatbot sees it; null when it does not answer.
  returned: always
  type: dict
  sample: {url: "http://127.0.0.1:8080", version: 0.1.0, model: {status: online}}
versions:
  description: Versions of what answers; InstructLab and llama-cpp-python as a running model server has them.
  returned: always
  type: dict
  sample: {podman: 5.4.2, haproxy: 3.0.11, chatbot: 0.1.0, instructlab: 0.26.1, llama-cpp-python: 0.3.36}
certificates:
  description: Certificates of Skupper's sites on this host, the first to end first.
  returned: always
  type: list
  elements: dict
  sample:
    - path: /var/lib/skupper/namespaces/private/runtime/certs/a/tls.crt
      ends: "2031-11-20T09:00:00Z"
      days: 1824
access:
  description: Who can reach which container, from what is published now.
  returned: always
  type: list
  elements: dict
  sample: [{who: this host, reaches: private-ai-gateway, how: "127.0.0.1:8000"}]
problems:
  description: What could not be found out, and why.
  returned: always
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.client import PodmanClient
from ansible_collections.private_ai.chatbot.plugins.module_utils.status.collect import (
    Host,
    fetch,
    settled,
)


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "sides": {
                "type": "list",
                "elements": "str",
                "choices": ["private", "public"],
                "default": ["private", "public"],
            },
            "data_directory": {"type": "path"},
            "api_key": {"type": "str", "no_log": True},
            "api_key_file": {"type": "path", "no_log": False},
            "gateway_url": {"type": "str", "default": "http://127.0.0.1:8000"},
            "gateway_metrics_url": {"type": "str", "default": "http://127.0.0.1:8404/metrics"},
            "chatbot_url": {"type": "str", "default": "http://127.0.0.1:8080"},
            "skupper_directory": {"type": "path"},
            "timeout": {"type": "int", "default": 5},
        },
        mutually_exclusive=[("api_key", "api_key_file")],
        supports_check_mode=True,
    )
    params = settled(dict(module.params))
    host = Host(params, PodmanClient(module.run_command), fetch(params["timeout"]))
    module.exit_json(changed=False, **host.facts())


if __name__ == "__main__":
    main()
