#!/usr/bin/python
# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell what a Skupper namespace holds and what it still waits for."""

from __future__ import annotations

DOCUMENTATION = r"""
module: skupper_info
short_description: Tell what a Skupper namespace holds and what it still waits for
version_added: 0.2.0
description:
  - Returns sites, listeners, connectors, links, router accesses and grants of one namespace in the same shape
    on all platforms, with what is pending.
  - Grants are told without their code.
extends_documentation_fragment:
  - private_ai.chatbot.kubernetes
  - private_ai.chatbot.skupper
  - private_ai.chatbot.skupper.platform
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.facts_module
  - private_ai.chatbot.attributes.actiongroup_skupper
notes:
  - On hosts Skupper does not keep the state of links, listeners and connectors up to date;
    RV(links[].operational) and the like are null there. RV(router) says which links are open; the state of
    such a site is also in RV(sites[].network) of a Kubernetes site of the same network, where
    RV(sites[].network[].id) is the RV(sites[].uid) of the host's.
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: Look
  private_ai.chatbot.skupper_info:
    namespace: chatbot
  register: skupper

- name: Show what is missing
  ansible.builtin.debug:
    var: skupper.pending
"""

RETURN = r"""
sites:
  description:
    - The sites of the namespace, usually one. See M(private_ai.chatbot.skupper_site) for what is in them.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    uid:
      description: Its identity in the network.
      type: str
    status:
      description: Ready, Pending or Error.
      type: str
    network:
      description: The sites of its network with their links and services; only on Kubernetes.
      type: list
      elements: dict
      contains:
        id:
          description: The uid of that site.
          type: str
        name:
          description: Its name, for sites on hosts the name of the router.
          type: str
        links:
          description: Its links.
          type: list
          elements: dict
        services:
          description: What it offers and asks for.
          type: list
          elements: dict
  sample: [{name: public, uid: fcab5f8c-6e07-47c8-ae72-c636ca917cf4, status: Ready, network: []}]
listeners:
  description: See M(private_ai.chatbot.skupper_listener).
  returned: success
  type: list
  elements: dict
  sample: [{name: instructlab, port: 8000, matched: true, status: Ready}]
connectors:
  description: See M(private_ai.chatbot.skupper_connector).
  returned: success
  type: list
  elements: dict
  sample: []
links:
  description: The links of the namespace to other sites.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    endpoints:
      description: Where it connects to.
      type: list
      elements: dict
    cost:
      description: Its cost.
      type: int
    operational:
      description: Whether it carries traffic; null where Skupper does not keep it up to date.
      type: bool
    remote_site_name:
      description: The other site.
      type: str
    tls_credentials:
      description: Name of the Secret with its key.
      type: str
    complete:
      description: Whether that Secret is there and as it was made; Skupper itself does not notice otherwise.
      type: bool
  sample: [{name: to-public, cost: 1, operational: true, remote_site_name: public, complete: true}]
router_accesses:
  description: See M(private_ai.chatbot.skupper_router_access).
  returned: success
  type: list
  elements: dict
  sample: []
grants:
  description: The grants that tokens were issued from.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    redemptions_allowed:
      description: How often its token may be redeemed.
      type: int
    redemptions_made:
      description: How often it was.
      type: int
    expiration_time:
      description: Until when it may be.
      type: str
    usable:
      description: Whether its token can still be redeemed. Skupper itself calls spent and expired ones ready.
      type: bool
  sample: [{name: private, redemptions_allowed: 1, redemptions_made: 0, usable: true}]
started:
  description: Whether the site was started; null on Kubernetes.
  returned: success
  type: bool
  sample: true
router:
  description:
    - What the router of a started site on a host says itself, asked on its port of the loopback interface;
      null on Kubernetes and before the first start.
  returned: success
  type: dict
  contains:
    name:
      description: Its name, another one after each reload.
      type: str
    peers:
      description: The routers at the other end of its open links, also of those that others have dialled.
      type: list
      elements: dict
      contains:
        router:
          description: The name of the other router.
          type: str
        direction:
          description: V(out) when this router has dialled, V(in) when the other one has.
          type: str
        role:
          description: V(inter-router) or V(edge).
          type: str
    links:
      description: The links that it dials.
      type: list
      elements: dict
      contains:
        name:
          description: The name of the link.
          type: str
        open:
          description: Whether it is connected.
          type: bool
    message:
      description: Why it did not answer, empty when it did.
      type: str
  sample:
    name: west-1780000000-1
    peers: [{router: east-1780000001-1, direction: in, role: inter-router}]
    links: []
    message: ''
pending:
  description:
    - On Kubernetes what is not ready, with the reason.
    - On hosts the objects that differ from what was started or reloaded last.
  returned: success
  type: list
  elements: str
  sample: ["Listener/instructlab: No matching connectors"]
missing:
  description:
    - What the namespace lacks to have anything at all, such as the CRDs; empty when it lacks nothing.
  returned: success
  type: str
  sample: ''
version_1:
  description:
    - Whether the namespace of a cluster belongs to a network of Skupper version 1, which version 2 cannot
      join.
    - Null when the API server does not let us read its ConfigMap C(skupper-site), and on hosts.
  returned: success
  type: bool
  sample: false
versions:
  description: Versions of the C(skupper) command and of the controller; null when there is none to be asked.
  returned: success
  type: dict
  sample: {cli: 2.2.1, controller: 2.2.1}
"""

import datetime
import typing as t

from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.describe import describe
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.errors import (
    ApiError,
    MissingPrerequisite,
    SkupperError,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.links import is_whole
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.namespaces import FileStore
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.network import (
    LISTS,
    describe_grant,
    what_is_missing,
    with_status,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.routers import ask
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.session import (
    COMMON_ARGUMENTS,
    Session,
    run_module,
)

if t.TYPE_CHECKING:
    from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.ownership import Object


def objects_of(session: Session) -> dict[str, list[Object]]:
    """Return all objects of the namespace, by the names of the result."""
    store = session.store
    found = {name: store.all(kind) for name, kind in LISTS.items()}
    if isinstance(store, FileStore):
        running = store.running()
        found = {name: with_status(found[name], running.all(kind.name)) for name, kind in LISTS.items()}
    return found


def cli_version(session: Session) -> str | None:
    """Return the version of the command, None when there is none or it does not know."""
    try:
        version = session.cli().version()
    except SkupperError:
        return None
    return ".".join(map(str, version)) if version else None


def version_1(session: Session) -> bool | None:
    """Return whether version 1 has the namespace, None when that cannot be told."""
    if isinstance(session.store, FileStore):
        return None
    try:
        return session.store.has_version_1()
    except ApiError as error:
        if error.status != 403:
            raise
        return None


def run(session: Session) -> dict[str, t.Any]:
    """Read and report."""
    missing = ""
    try:
        found = objects_of(session)
    except MissingPrerequisite as error:
        found, missing = {name: [] for name in LISTS}, error.message
    now = datetime.datetime.now(datetime.timezone.utc)
    result: dict[str, t.Any] = {
        name: [describe(one, session.platform) for one in objects] for name, objects in found.items()
    }
    for link, one in zip(result["links"], found["links"]):
        link["complete"] = is_whole(session, one)
    result["missing"], result["version_1"] = missing, version_1(session)
    result["grants"] = [describe_grant(one, session.platform, now) for one in found["grants"]]
    if isinstance(session.store, FileStore):
        result["pending"], result["started"] = session.store.pending(), session.store.started()
        result["router"] = ask(session.store.root) if result["started"] else None
    else:
        result["pending"], result["started"] = what_is_missing(found), None
        result["router"] = None
    controller = next((one["controller_version"] for one in result["sites"]), None)
    result["versions"] = {"cli": cli_version(session), "controller": controller}
    return {"changed": False, **result}


def main() -> None:
    """Entry point of the module."""
    run_module(dict(COMMON_ARGUMENTS), run)


if __name__ == "__main__":
    main()
