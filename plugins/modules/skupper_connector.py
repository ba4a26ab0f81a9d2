#!/usr/bin/python
# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep one Skupper connector."""

from __future__ import annotations

DOCUMENTATION = r"""
module: skupper_connector
short_description: Keep a Skupper connector, which brings a workload into the network
version_added: 0.2.0
description:
  - Makes, changes and removes a Connector, for pods (O(selector), O(workload)) or for an address
    (O(connector_host)).
  - On hosts the router runs in the host's own network. For a container, publish a port on C(127.0.0.1) and
    connect to that; container names and C(host.containers.internal) do not work.
  - A connector whose pods do not run yet is not waited for.
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
    description: Name of the connector.
    type: str
    required: true
  connector_host:
    description:
      - Address or host name that the router connects to. On hosts V(localhost) without it.
      - Not C(host), which is the API server as in C(kubernetes.core).
    type: str
  port:
    description: Port of the workload. Needed for O(state=present).
    type: int
  selector:
    description:
      - Labels of the pods, such as V(app=web,tier=front). Only for O(platform=kubernetes).
      - Without it, O(workload) and O(connector_host), V(app=) and the O(name), as the C(skupper) command has
        it.
    type: str
  workload:
    description:
      - Workload whose pods are meant, as V(deployment/NAME), V(statefulset/NAME), V(daemonset/NAME) or
        V(service/NAME). Its selector is asked of the API server. Only for O(platform=kubernetes).
    type: str
  tls_credentials:
    description:
      - Secret (on hosts, the directory below C(input/certs)) with the CA of a workload that speaks TLS.
    type: str
    default: ''
  use_client_cert:
    description: Whether the router shows the certificate in O(tls_credentials) to the workload.
    type: bool
    default: false
  verify_hostname:
    description: Whether the name in the workload's certificate is checked.
    type: bool
    default: false
  include_not_ready:
    description: Whether pods that are not ready count, too.
    type: bool
    default: false
  wait_for:
    description:
      - V(configured) waits until the router has it, if there are pods or O(connector_host) is given.
      - V(ready) waits in any case, also until a listener matches.
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: The model's gateway on a host
  private_ai.chatbot.skupper_connector:
    name: instructlab
    platform: podman
    namespace: private-ai
    connector_host: 127.0.0.1
    port: 8000

- name: A Deployment
  private_ai.chatbot.skupper_connector:
    name: instructlab
    namespace: private
    workload: deployment/gateway
    port: 8000
"""

RETURN = r"""
connector:
  description: The connector as it is after the module, in check mode as it would be; null when there is none.
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
    connector_host:
      description: As the option.
      type: str
    port:
      description: As the option.
      type: int
    selector:
      description: Labels of the pods, those of O(workload) when that was given.
      type: str
    matched:
      description:
        - Whether a listener matches; null where Skupper does not keep it up to date (not on Kubernetes).
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
    namespace: private
    routing_key: instructlab
    connector_host: ''
    port: 8000
    selector: app=gateway
    matched: false
    status: Pending
    message: No matching listeners
    conditions: [{type: Configured, status: "True", reason: Ready, message: OK}]
waited:
  description: Whether its configuration was waited for; not when no pod matches yet.
  returned: when O(state=present)
  type: bool
  sample: true
reload_needed:
  description: Whether the site must be started or reloaded for the connector to take effect.
  returned: unless O(platform=kubernetes)
  type: bool
  sample: true
"""

import re
import typing as t

from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper import validate
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.cluster import ClusterStore
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.ensure import (
    TARGETS,
    absent,
    present,
    result_of,
    waits,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.errors import (
    InvalidValue,
    MissingPrerequisite,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import CONNECTOR, KUBERNETES
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.render import selector_text
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
    "connector_host": {"type": "str"},
    "selector": {"type": "str"},
    "workload": {"type": "str"},
    "use_client_cert": {"type": "bool", "default": False},
    "verify_hostname": {"type": "bool", "default": False},
    "include_not_ready": {"type": "bool", "default": False},
}
_WORKLOAD = re.compile(r"(deployment|statefulset|daemonset|service)/([a-z0-9]([-.a-z0-9]*[a-z0-9])?)")


def check(params: dict[str, t.Any]) -> None:
    """Refuse what cannot be."""
    platform = params["platform"]
    validate.name("routing_key", params["routing_key"] or params["name"])
    validate.host("connector_host", params["connector_host"])
    validate.port("port", params["port"])
    for option in ("selector", "workload"):
        validate.only_on(option, params[option] is not None, platform, [KUBERNETES])
    if params["workload"] is not None and not _WORKLOAD.fullmatch(params["workload"]):
        raise InvalidValue(
            f"workload is {params['workload']!r}; write deployment/NAME, statefulset/NAME, daemonset/NAME or "
            "service/NAME"
        )


def selector_of(session: Session) -> str:
    """Return the selector that is wanted, empty for a connector to an address."""
    params = session.params
    if session.platform != KUBERNETES or params["connector_host"]:
        return ""
    if params["workload"] and isinstance(session.store, ClusterStore):
        try:
            return selector_text(session.store.workload_selector(params["workload"]))
        except MissingPrerequisite as error:
            session.excuse(error)
    return str(params["selector"] or f"app={params['name']}")


def wanted_spec(params: dict[str, t.Any], selector: str) -> dict[str, t.Any]:
    """Return the spec, the defaults in it."""
    own_host = None if params["platform"] == KUBERNETES else "localhost"
    filled = {
        **params,
        "routing_key": params["routing_key"] or params["name"],
        "connector_host": params["connector_host"] or own_host,
        "selector": selector or None,
    }
    return CONNECTOR.spec(filled)


def target_of(session: Session, selector: str) -> str | None:
    """Return the condition to wait for, None when the workload is still to come."""
    target = TARGETS[session.params["wait_for"]]
    if session.params["wait_for"] == "ready" or not selector or not isinstance(session.store, ClusterStore):
        return target
    return target if session.store.has_pods(selector) else None


def run(session: Session) -> dict[str, t.Any]:
    """Read, compare, act, wait, report."""
    params, name = session.params, session.params["name"]
    validate.name("name", name, session.platform)
    if params["state"] == "absent":
        return absent(session, CONNECTOR, name, session.find(CONNECTOR, name), key="connector")
    check(params)
    live = session.find(CONNECTOR, name)
    selector = selector_of(session)
    desired = session.desired(CONNECTOR, name, wanted_spec(params, selector))
    target = target_of(session, selector) if waits(session) else None
    plan, now = present(session, CONNECTOR, name, desired, live, target=target)
    return {**result_of(session, CONNECTOR, plan, now, "connector"), "waited": target is not None}


def main() -> None:
    """Entry point of the module."""
    run_module(
        ARGUMENTS,
        run,
        required_if=[("state", "present", ["port"])],
        mutually_exclusive=[("selector", "workload", "connector_host")],
    )


if __name__ == "__main__":
    main()
