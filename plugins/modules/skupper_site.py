#!/usr/bin/python
# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep the Skupper site of a namespace."""

from __future__ import annotations

DOCUMENTATION = r"""
module: skupper_site
short_description: Keep the Skupper site of a namespace
version_added: 0.2.0
description:
  - Makes, changes and removes the Site of a namespace, on Kubernetes and on hosts.
  - With O(link_access=none), the access that an earlier setting left behind is removed, too; Skupper itself
    leaves it open.
  - A namespace of a network of Skupper version 1 is refused before anything is written to it.
  - A site that is made anew while listeners, connectors and links are still in its namespace has the
    controller look at these at once, instead of up to 30 seconds later.
extends_documentation_fragment:
  - private_ai.chatbot.kubernetes
  - private_ai.chatbot.skupper
  - private_ai.chatbot.skupper.platform
  - private_ai.chatbot.skupper.object
  - private_ai.chatbot.skupper.wait
  - private_ai.chatbot.skupper.changes
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.actiongroup_skupper
options:
  name:
    description: Name of the site. A namespace has one site.
    type: str
    required: true
  link_access:
    description:
      - How other sites reach this one to link to it. V(none) for a site that only dials out.
      - V(default) lets the controller choose; the others must be enabled in the controller. On
        O(platform=podman), O(platform=docker) and O(platform=linux) only V(none) and V(default); see
        M(private_ai.chatbot.skupper_router_access) for ports and names there.
    type: str
    choices:
      - none
      - default
      - route
      - loadbalancer
      - nodeport
      - ingress
      - ingress-nginx
      - gateway
      - contour-http-proxy
      - local
    default: none
  ha:
    description:
      - Whether there is a second router. Changing it replaces the first one, too, so links and streams drop
        once.
      - Only for O(platform=kubernetes), and not together with O(edge).
    type: bool
    default: false
  edge:
    description: Whether the router only connects to others and never passes traffic on for them.
    type: bool
    default: false
  service_account:
    description: Service account of the router's pods. Only for O(platform=kubernetes).
    type: str
    default: ''
  default_issuer:
    description: Secret with the CA that issues the site's certificates, instead of one of Skupper's.
    type: str
    default: ''
  settings:
    description:
      - More settings, by name, such as V(router-logging), V(router-data-connection-count), V(size) or
        V(disable-anti-affinity). Others that the site has stay.
    type: dict
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: The public site, which others link to
  private_ai.chatbot.skupper_site:
    name: public
    namespace: chatbot
    link_access: default

- name: The private site on a host, which only dials out
  private_ai.chatbot.skupper_site:
    name: private
    platform: podman
    namespace: private-ai

- name: Remove it
  private_ai.chatbot.skupper_site:
    name: public
    namespace: chatbot
    state: absent
"""

RETURN = r"""
site:
  description: The site as it is after the module, in check mode as it would be; null when there is none.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      type: str
    namespace:
      description: Its namespace.
      type: str
    platform:
      description: Its platform.
      type: str
    uid:
      description: Its identity in the network; null before it exists.
      type: str
    link_access:
      description: As the option.
      type: str
    ha:
      description: As the option.
      type: bool
    edge:
      description: As the option.
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
    endpoints:
      description: Where other sites can reach it.
      type: list
      elements: dict
    network:
      description: The sites of its network with their links and services.
      type: list
      elements: dict
  sample:
    name: public
    namespace: chatbot
    platform: kubernetes
    uid: fcab5f8c-6e07-47c8-ae72-c636ca917cf4
    link_access: default
    ha: false
    edge: false
    status: Ready
    message: OK
    conditions: [{type: Ready, status: "True", reason: Ready, message: OK}]
    endpoints: [{name: inter-router, host: 203.0.113.7, port: "55671", group: skupper-router}]
    network: []
reload_needed:
  description: Whether the site must be started or reloaded for its objects to take effect.
  returned: unless O(platform=kubernetes)
  type: bool
  sample: true
"""

import typing as t

from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper import validate
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.cluster import ClusterStore
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.ensure import (
    Step,
    absent,
    present,
    result_of,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.errors import (
    InvalidValue,
    MissingPrerequisite,
    SkupperError,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import (
    CONNECTOR,
    FILE_PLATFORMS,
    KUBERNETES,
    LINK,
    LISTENER,
    ROUTER_ACCESS,
    SITE,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.session import (
    COMMON_ARGUMENTS,
    OBJECT_ARGUMENTS,
    WAIT_ARGUMENTS,
    Session,
    run_module,
)

if t.TYPE_CHECKING:
    from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.ownership import Object

LINK_ACCESS = [
    "none",
    "default",
    "route",
    "loadbalancer",
    "nodeport",
    "ingress",
    "ingress-nginx",
    "gateway",
    "contour-http-proxy",
    "local",
]
ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **COMMON_ARGUMENTS,
    **OBJECT_ARGUMENTS,
    **WAIT_ARGUMENTS,
    "name": {"type": "str", "required": True},
    "link_access": {"type": "str", "choices": LINK_ACCESS, "default": "none"},
    "ha": {"type": "bool", "default": False},
    "edge": {"type": "bool", "default": False},
    "service_account": {"type": "str", "default": ""},
    "default_issuer": {"type": "str", "default": ""},
    "settings": {"type": "dict"},
}
#: What the controller makes for link access, and marks as its own.
ACCESS_NAME = "skupper-router"
CONTROLLED = "internal.skupper.io/controlled"


def check(params: dict[str, t.Any]) -> None:
    """Refuse what cannot be."""
    platform = params["platform"]
    validate.name("name", params["name"], platform)
    if platform in FILE_PLATFORMS and params["link_access"] not in ("none", "default"):
        raise InvalidValue(
            f"link_access is {params['link_access']}; on platform {platform} it is none or default"
        )
    validate.only_on("ha", params["ha"], platform, [KUBERNETES])
    validate.only_on("service_account", bool(params["service_account"]), platform, [KUBERNETES])
    if params["ha"] and params["edge"]:
        raise InvalidValue("ha and edge exclude each other: an edge router has no second one; choose one")


def find_site(session: Session, name: str) -> Object | None:
    """Return the site; SkupperError when the namespace has another one, which Skupper would not serve."""
    try:
        sites = session.store.all(SITE)
    except MissingPrerequisite as error:
        if session.params["state"] == "present":
            session.excuse(error)
        return None
    others = sorted(one["metadata"]["name"] for one in sites if one["metadata"]["name"] != name)
    if others and session.params["state"] == "present":
        raise SkupperError(
            f"namespace {session.namespace} has the site {others[0]} already, and Skupper serves one in a "
            f"namespace; name that one, remove it, or use another namespace for {name}"
        )
    return next((one for one in sites if one["metadata"]["name"] == name), None)


def refuse_version_1(session: Session) -> None:
    """Refuse a namespace with a network of version 1, whose router would be replaced."""
    if isinstance(session.store, ClusterStore) and session.store.has_version_1():
        raise SkupperError(
            f"namespace {session.namespace} has a network of Skupper version 1 (ConfigMap skupper-site), "
            "which version 2 cannot join; nothing was changed. Use another namespace, or move the network "
            "first: https://skupper.io/docs/kubernetes-cli/migration.html"
        )


def closing(session: Session) -> list[Step]:
    """Return the step that removes the access that a former link_access left open, if there is one."""
    if session.platform != KUBERNETES or session.params["link_access"] != "none":
        return []
    found = session.find(ROUTER_ACCESS, ACCESS_NAME)
    annotations = ((found or {}).get("metadata") or {}).get("annotations") or {}
    if annotations.get(CONTROLLED) != "true":
        return []
    what = f"removing the former link access (RouterAccess {ACCESS_NAME})"
    return [(what, lambda: session.store.delete(ROUTER_ACCESS, ACCESS_NAME))]


def orphans(session: Session) -> list[tuple[t.Any, str]]:
    """Return what is left in the namespace from a former site, by kind and name."""
    if not isinstance(session.store, ClusterStore):
        return []
    try:
        return [
            (kind, one["metadata"]["name"])
            for kind in (LISTENER, CONNECTOR, LINK)
            for one in session.store.all(kind)
        ]
    except MissingPrerequisite:
        return []


def wake(session: Session, left: list[tuple[t.Any, str]], site: Object) -> None:
    """Have the controller look again at what waits for a site."""
    store = session.store
    if isinstance(store, ClusterStore):
        value = str(site["metadata"].get("uid") or "")
        for kind, name in left:
            store.touch(kind, name, value)


def run(session: Session) -> dict[str, t.Any]:
    """Read, compare, act, wait, report."""
    params, name = session.params, session.params["name"]
    check(params)
    live = find_site(session, name)
    if params["state"] == "absent":
        return absent(session, SITE, name, live, key="site")
    if live is None:
        refuse_version_1(session)
    desired = session.desired(SITE, name, SITE.spec(params))
    steps = closing(session) if live else []
    left = orphans(session) if live is None else []
    notes: dict[str, tuple[t.Any, t.Any]] = {}
    if steps:
        notes["open access"] = (ACCESS_NAME, None)
    if left:
        notes["looked at again"] = ([], [f"{kind.name}/{one}" for kind, one in left])
    plan, now = present(session, SITE, name, desired, live, target=SITE.target, first=steps, notes=notes)
    if left:
        session.act([("waking what waits for the site", lambda: wake(session, left, now))])
    return result_of(session, SITE, plan, now, "site")


def main() -> None:
    """Entry point of the module."""
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
