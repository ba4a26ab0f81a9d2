#!/usr/bin/python
# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep the access to the router of a site on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: skupper_router_access
short_description: Keep address, ports and names by which other sites reach a Skupper site on a host
version_added: 0.2.0
description:
  - Without it, a site on a host with O(private_ai.chatbot.skupper_site#module:link_access=default) takes the
    next free ports at each start, and its certificate carries every address of the host.
  - A link made for an address works only if O(subject_alternative_names) has it.
extends_documentation_fragment:
  - private_ai.chatbot.kubernetes
  - private_ai.chatbot.skupper
  - private_ai.chatbot.skupper.host
  - private_ai.chatbot.skupper.object
  - private_ai.chatbot.skupper.changes
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.actiongroup_skupper
options:
  platform:
    description:
      - Where the site runs. On Kubernetes O(private_ai.chatbot.skupper_site#module:link_access) does this.
  name:
    description:
      - Name of the access. With the name of the site it takes the place of the site's own, so that is the
        name without this option.
    type: str
  bind_host:
    description: Address of the host that the router listens on. Without it, all.
    type: str
    default: ''
  inter_router_port:
    description: Port for links of other sites.
    type: int
    default: 55671
  edge_port:
    description: Port for links of edge sites.
    type: int
    default: 45671
  subject_alternative_names:
    description:
      - Names and addresses in the certificate, those by which other sites reach this one. Needed for
        O(state=present).
    type: list
    elements: str
  tls_credentials:
    description: Name of the certificate. Without it, the O(name).
    type: str
  issuer:
    description: CA that issues it, instead of the site's.
    type: str
    default: ''
  settings:
    description: More settings, by name. Others that the access has stay.
    type: dict
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: Other sites reach this one by a fixed name and ports
  private_ai.chatbot.skupper_router_access:
    platform: podman
    namespace: public
    bind_host: 192.0.2.10
    subject_alternative_names: [skupper.example.com, 192.0.2.10]
"""

RETURN = r"""
router_access:
  description: The access as it is after the module, in check mode as it would be; null when there is none.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      type: str
    bind_host:
      description: As the option.
      type: str
    roles:
      description: The ports.
      type: list
      elements: dict
    subject_alternative_names:
      description: As the option.
      type: list
      elements: str
    tls_credentials:
      description: As the option.
      type: str
  sample:
    name: public
    bind_host: 192.0.2.10
    roles: [{name: inter-router, port: 55671}, {name: edge, port: 45671}]
    subject_alternative_names: [skupper.example.com, 192.0.2.10]
    tls_credentials: public
reload_needed:
  description: Whether the site must be started or reloaded for the access to take effect.
  returned: success
  type: bool
  sample: true
"""

import typing as t

from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper import validate
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.ensure import (
    absent,
    present,
    result_of,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.errors import (
    InvalidValue,
    MissingPrerequisite,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import (
    ROUTER_ACCESS,
    SITE,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.render import bare, complete
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.session import (
    HOST_ARGUMENTS,
    OBJECT_ARGUMENTS,
    Session,
    run_module,
)

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **HOST_ARGUMENTS,
    **OBJECT_ARGUMENTS,
    "name": {"type": "str"},
    "bind_host": {"type": "str", "default": ""},
    "inter_router_port": {"type": "int", "default": 55671},
    "edge_port": {"type": "int", "default": 45671},
    "subject_alternative_names": {"type": "list", "elements": "str"},
    "tls_credentials": {"type": "str"},
    "issuer": {"type": "str", "default": ""},
    "settings": {"type": "dict"},
}


def wanted_spec(params: dict[str, t.Any], name: str) -> dict[str, t.Any]:
    """Return the spec; InvalidValue when an option cannot be."""
    ports = {"inter-router": params["inter_router_port"], "edge": params["edge_port"]}
    validate.port("inter_router_port", ports["inter-router"])
    validate.port("edge_port", ports["edge"])
    if ports["edge"] == ports["inter-router"]:
        raise InvalidValue(
            f"inter_router_port and edge_port are both {ports['edge']}; give each one of its own"
        )
    for one in params["subject_alternative_names"]:
        if one != "::":
            validate.host("subject_alternative_names", one)
    validate.host("bind_host", params["bind_host"] or None)
    return ROUTER_ACCESS.spec(
        {
            **params,
            "roles": [{"name": role, "port": port} for role, port in ports.items()],
            "tls_credentials": params["tls_credentials"] or name,
        }
    )


def own_name(session: Session) -> str:
    """Return the name of the namespace's site; in check mode the namespace's when there is none yet."""
    names = [one["metadata"]["name"] for one in session.store.all(SITE)]
    if len(names) == 1:
        return str(names[0])
    if names:
        raise InvalidValue(
            f"namespace {session.namespace} has the sites {', '.join(names)}; give the option name"
        )
    session.excuse(
        MissingPrerequisite(
            f"namespace {session.namespace} has no site yet; make it first, or give its name in the option "
            "name"
        )
    )
    return session.namespace


def run(session: Session) -> dict[str, t.Any]:
    """Read, compare, act, report."""
    params = session.params
    name = params["name"] or own_name(session)
    validate.name("name", name, session.platform)
    live = session.find(ROUTER_ACCESS, name)
    if params["state"] == "absent":
        return absent(session, ROUTER_ACCESS, name, live, key="router_access")
    spec = wanted_spec(params, name)
    desired = complete(bare(ROUTER_ACCESS, session.namespace, name), ROUTER_ACCESS, params, spec)
    plan, now = present(session, ROUTER_ACCESS, name, desired, live)
    return result_of(session, ROUTER_ACCESS, plan, now, "router_access")


def main() -> None:
    """Entry point of the module."""
    run_module(ARGUMENTS, run, required_if=[("state", "present", ["subject_alternative_names"])])


if __name__ == "__main__":
    main()
