#!/usr/bin/python
# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell what a set of objects is like now."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_set_info
short_description: The objects of a set as the cluster has them now
version_added: 0.2.0
description:
  - Reads the objects that M(private_ai.chatbot.kubernetes_objects) keeps under a name, and the pods that
    come of them.
  - Several kinds are read at once. Secrets are not read.
extends_documentation_fragment:
  - private_ai.chatbot.kubernetes
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.facts_module
  - private_ai.chatbot.attributes.actiongroup_kubernetes
options:
  name:
    description: Name of the set.
    type: str
    required: true
  namespace:
    description: Its namespace.
    type: str
    required: true
  kinds:
    description:
      - The kinds to read, V(Pod) or any kind that a set can hold, but for Secrets.
      - A kind that the cluster does not know has no objects.
    type: list
    elements: str
    required: true
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: Look at Services and pods
  private_ai.chatbot.kubernetes_set_info:
    name: chatbot
    namespace: ilab-chat
    kinds: [Service, Pod]
  register: found

- name: Name the pods
  ansible.builtin.debug:
    msg: "{{ found.objects.Pod | map(attribute='metadata.name') }}"
"""

RETURN = r"""
objects:
  description: The objects by their kind, each as the API server tells it, without the managers of its fields.
  returned: always
  type: dict
  sample:
    Service:
      - apiVersion: v1
        kind: Service
        metadata: {name: chatbot, namespace: ilab-chat}
        spec: {type: ClusterIP}
    Pod: []
hosts:
  description: Addresses of the nodes on which ready pods of the set run; with V(Pod) among O(kinds).
  returned: always
  type: list
  elements: str
  sample: [192.0.2.11]
"""

import typing as t

from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes import reasons
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.errors import InvalidValue
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.resources import (
    RESOURCES,
    Object,
    name_of,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.session import (
    CONNECTION_ARGUMENTS,
    ClusterSession,
    run_module,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.store import Store

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "kinds": {"type": "list", "elements": "str", "required": True},
    **CONNECTION_ARGUMENTS,
}
READABLE = {one.kind: one for one in RESOURCES if one.kind != "Secret"}


def without_managers(obj: Object) -> Object:
    """Return an object without what only the API server needs."""
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": metadata}


def read(store: Store, kind: str) -> list[Object]:
    """Return the set's objects of one kind, by name; InvalidValue for a kind that is not read."""
    if kind == "Pod":
        found = [{"apiVersion": "v1", "kind": "Pod", **one} for one in store.pods()]
    elif kind in READABLE:
        found = list(store.members(READABLE[kind]).values())
    else:
        raise InvalidValue(f"kinds: {kind} is not read; known are Pod, {', '.join(READABLE)}")
    return [without_managers(one) for one in sorted(found, key=name_of)]


def run(session: ClusterSession) -> dict[str, t.Any]:
    """Read, and report."""
    store = Store(session.client, session.params["namespace"], session.params["name"], manager="")
    found = {kind: read(store, kind) for kind in session.params["kinds"]}
    return {"changed": False, "objects": found, "hosts": reasons.ready_hosts(found.get("Pod", []))}


def main() -> None:
    """Entry point of the module."""
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
