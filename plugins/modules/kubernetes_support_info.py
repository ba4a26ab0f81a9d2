#!/usr/bin/python
# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Collect what helps to find a fault of the chatbot on a cluster, without secrets and prompts."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_support_info
short_description: Collect what helps to find a fault on a cluster, without any secret or prompt
version_added: 0.2.0
description:
  - Returns the chatbot's settings, the states and logs of its pods and of the router of its Skupper site, and
    the events of their namespaces, as texts by file names.
  - Secrets are not read. Of settings, logs and pods only what M(private_ai.chatbot.support_info) would take
    is taken.
extends_documentation_fragment:
  - private_ai.chatbot.kubernetes
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.facts_module
  - private_ai.chatbot.attributes.actiongroup_kubernetes
options:
  namespace:
    description: The chatbot's namespace.
    type: str
    required: true
  name:
    description: The chatbot's name.
    type: str
    default: chatbot
  skupper_namespace:
    description: Namespace of the Skupper site. Empty, there is none.
    type: str
    default: ""
  api_keys:
    description: Keys that are known to whoever asks, to take them out of every text.
    type: list
    elements: str
    default: []
  log_lines:
    description: The last lines of each log.
    type: int
    default: 2000
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: Collect
  private_ai.chatbot.kubernetes_support_info:
    namespace: ilab-chat
    skupper_namespace: ilab-chat
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
  sample: {kubernetes/version.json: "{...}", logs/chatbot-5d9c-chatbot.log: "{...}"}
"""

import typing as t

from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.errors import InvalidValue
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.session import (
    CONNECTION_ARGUMENTS,
    ClusterSession,
    run_module,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.status.cluster_support import (
    ClusterCollector,
)

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "namespace": {"type": "str", "required": True},
    "name": {"type": "str", "default": "chatbot"},
    "skupper_namespace": {"type": "str", "default": ""},
    "api_keys": {"type": "list", "elements": "str", "default": [], "no_log": True},
    "log_lines": {"type": "int", "default": 2000},
    **CONNECTION_ARGUMENTS,
}


def run(session: ClusterSession) -> dict[str, t.Any]:
    """Read, and report."""
    params = session.params
    if params["log_lines"] < 1:
        raise InvalidValue(f"log_lines is {params['log_lines']}; at least 1 is needed")
    collector = ClusterCollector(
        session.client,
        params["namespace"],
        params["name"],
        params["log_lines"],
        params["api_keys"],
        params["skupper_namespace"],
    )
    return {"changed": False, "files": collector.files()}


def main() -> None:
    """Entry point of the module."""
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
