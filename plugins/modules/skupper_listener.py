#!/usr/bin/python
# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep one Skupper listener."""

from __future__ import annotations

DOCUMENTATION = r"""
module: skupper_listener
short_description: Keep a Skupper listener, where clients reach a service of the network
version_added: 0.2.0
description:
  - Makes, changes and removes a Listener. On Kubernetes Skupper makes a Service of the name O(listener_host)
    for it; on hosts the router listens on O(listener_host) and O(port).
  - A listener that is matched by no connector is not an error, the service may come later. Whether it
    answers, only a request can tell.
extends_documentation_fragment:
  - private_ai.chatbot.kubernetes
  - private_ai.chatbot.skupper
  - private_ai.chatbot.skupper.platform
  - private_ai.chatbot.skupper.object
  - private_ai.chatbot.skupper.wait
  - private_ai.chatbot.skupper.service
  - private_ai.chatbot.skupper.changes
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.actiongroup_skupper
options:
  name:
    description: Name of the listener.
    type: str
    required: true
  listener_host:
    description:
      - On Kubernetes the name of the Service that clients use, otherwise the address that the router listens
        on.
      - Without it, O(name) on Kubernetes and V(0.0.0.0) elsewhere.
      - Not C(host), which is the API server as in C(kubernetes.core).
    type: str
  port:
    description: Port that clients use. Needed for O(state=present).
    type: int
  tls_credentials:
    description:
      - Secret (on hosts, the directory below C(input/certs)) with certificate and key, for clients by TLS.
    type: str
    default: ''
  observer:
    description: What the network observer reads in the traffic.
    type: str
    choices: [auto, none, http1, http2]
    default: auto
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: The chatbot reaches the model by the name instructlab
  private_ai.chatbot.skupper_listener:
    name: instructlab
    namespace: chatbot
    port: 8000

- name: The same on a host
  private_ai.chatbot.skupper_listener:
    name: instructlab
    platform: linux
    namespace: public
    listener_host: 127.0.0.1
    port: 8000
"""

RETURN = r"""
listener:
  description: The listener as it is after the module, in check mode as it would be; null when there is none.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      type: str
    namespace:
      description: Its namespace.
      type: str
    routing_key:
      description: As the option.
      type: str
    listener_host:
      description: As the option.
      type: str
    port:
      description: As the option.
      type: int
    matched:
      description:
        - Whether a connector matches; null where Skupper does not keep it up to date (not on Kubernetes).
      type: bool
    status:
      description: Ready, Pending or Error; null when nothing has looked at it yet.
      type: str
    message:
      description: What is missing, in Skupper's words.
      type: str
    conditions:
      description: Its conditions.
      type: list
      elements: dict
  sample:
    name: instructlab
    namespace: chatbot
    routing_key: instructlab
    listener_host: instructlab
    port: 8000
    matched: true
    status: Ready
    message: OK
    conditions: [{type: Ready, status: "True", reason: Ready, message: OK}]
reload_needed:
  description: Whether the site must be started or reloaded for the listener to take effect.
  returned: unless O(platform=kubernetes)
  type: bool
  sample: true
"""

import typing as t

from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper import validate
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.ensure import (
    TARGETS,
    absent,
    present,
    result_of,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import KUBERNETES, LISTENER
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.session import (
    COMMON_ARGUMENTS,
    OBJECT_ARGUMENTS,
    SERVICE_ARGUMENTS,
    WAIT_ARGUMENTS,
    Session,
    run_module,
)

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **COMMON_ARGUMENTS,
    **OBJECT_ARGUMENTS,
    **WAIT_ARGUMENTS,
    **SERVICE_ARGUMENTS,
    "listener_host": {"type": "str"},
    "observer": {"type": "str", "choices": ["auto", "none", "http1", "http2"], "default": "auto"},
}
#: What Skupper's command takes for the address on a host.
ALL_ADDRESSES = "0.0.0.0"  # noqa: S104 - Skupper's default; the option listener_host narrows it


def wanted_spec(params: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the spec, the defaults in it; InvalidValue when an option cannot be."""
    own_host = params["name"] if params["platform"] == KUBERNETES else ALL_ADDRESSES
    filled = {
        **params,
        "routing_key": params["routing_key"] or params["name"],
        "listener_host": params["listener_host"] or own_host,
    }
    validate.name("routing_key", filled["routing_key"])
    validate.host("listener_host", filled["listener_host"])
    validate.port("port", filled["port"])
    return LISTENER.spec(filled)


def run(session: Session) -> dict[str, t.Any]:
    """Read, compare, act, wait, report."""
    params, name = session.params, session.params["name"]
    validate.name("name", name, session.platform)
    if params["state"] == "absent":
        return absent(session, LISTENER, name, session.find(LISTENER, name), key="listener")
    spec = wanted_spec(params)
    live = session.find(LISTENER, name)
    desired = session.desired(LISTENER, name, spec)
    target = TARGETS[params["wait_for"]]
    plan, now = present(session, LISTENER, name, desired, live, target=target)
    return result_of(session, LISTENER, plan, now, "listener")


def main() -> None:
    """Entry point of the module."""
    run_module(ARGUMENTS, run, required_if=[("state", "present", ["port"])])


if __name__ == "__main__":
    main()
