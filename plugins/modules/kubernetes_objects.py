#!/usr/bin/python
# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep a set of objects of one namespace."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_objects
short_description: Keep a set of objects of one namespace of a cluster
version_added: 0.2.0
description:
  - Makes, changes and removes the objects of an application together. Each object is written by server-side
    apply; what an earlier version of the set had and this one has not is removed.
  - What others added to the specification or the data of an object of the set is taken out again. Labels and
    annotations of others stay, and so does the number of replicas while an autoscaler decides about it.
  - An object of the same name that somebody else made is never taken over; the module fails and names it.
  - The pod template of a Deployment gets a checksum of the ConfigMaps and Secrets that it reads, also of
    those that are not in the set, so that another value starts new pods.
  - M(kubernetes.core.k8s) does one object at a time, cannot try objects in a namespace that is only planned,
    and does not tell why a pod does not start.
extends_documentation_fragment:
  - private_ai.chatbot.kubernetes
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.actiongroup_kubernetes
attributes:
  check_mode:
    support: full
    details:
      - The API server itself is asked what a write would do. A namespace or kinds that an earlier task would
        bring are a warning in check mode.
  diff_mode:
    support: full
    details:
      - Values of Secrets are hidden; that one differs is shown.
  idempotent:
    support: full
options:
  name:
    description: Name of the set; label C(private-ai.chatbot/set) of all its objects.
    type: str
    required: true
  namespace:
    description:
      - Namespace of the set. It is made when there is none.
      - With O(state=absent) it is removed when this module made it and nothing else is left in it.
    type: str
    required: true
  namespace_labels:
    description: Labels of the namespace when this module makes it. One that others made stays as it is.
    type: dict
    default: {}
  objects:
    description: The objects. Namespace and the labels of the set are added.
    type: list
    elements: dict
    default: []
  secrets:
    description: Secrets, apart from the objects so that their values are never shown.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the Secret.
        type: str
        required: true
      type:
        description: Its type.
        type: str
        default: Opaque
      data:
        description: Its values, as they are, not in base64.
        type: dict
      self_signed_hosts:
        description:
          - Instead of O(secrets[].data), host names and addresses for a certificate that signs itself. It is
            for trials. It is kept while it fits, and made anew 30 days before it ends.
        type: list
        elements: str
        default: []
  state:
    description: Whether the set exists.
    type: str
    choices: [present, absent]
    default: present
  prune:
    description: Whether objects of the set that are no longer given are removed.
    type: bool
    default: true
  obsolete_sets:
    description:
      - Names of further sets of the namespace whose objects are removed as well, in either O(state).
      - What belongs to such a set does not keep a namespace that is to go.
    type: list
    elements: str
    default: []
  grace_period:
    description: With O(state=absent), seconds that pods get to end.
    type: int
    default: 10
  wait:
    description:
      - Whether to wait until Deployments are rolled out, load balancers have an address, and Routes and
        HTTPRoutes are served; with O(state=absent) until nothing is left.
      - What cannot become ready ends the wait early.
    type: bool
    default: true
  wait_timeout:
    description: Seconds to wait at most for each object.
    type: int
    default: 300
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: An application of two objects and a Secret
  private_ai.chatbot.kubernetes_objects:
    name: web
    namespace: web
    namespace_labels:
      pod-security.kubernetes.io/enforce: restricted
    secrets:
      - name: web-key
        data:
          key: "{{ vault_key }}"
    objects: "{{ lookup('ansible.builtin.template', 'web.yml.j2') | from_yaml_all }}"

- name: Nothing of it, and nothing of the monitors that came later
  private_ai.chatbot.kubernetes_objects:
    name: web
    namespace: web
    obsolete_sets: [web-monitoring]
    state: absent
"""

RETURN = r"""
changes:
  description: What was done, in check mode what would be, in this order.
  returned: success
  type: list
  elements: dict
  contains:
    object:
      description: Kind and name.
      type: str
    action:
      description: created, changed or removed.
      type: str
  sample:
    - {object: Namespace/web, action: created}
    - {object: Deployment/web, action: created}
namespace_ours:
  description: Whether the namespace was made by this module.
  returned: success
  type: bool
  sample: true
namespace_left:
  description: With O(state=absent), what is left in a namespace of ours, so that it stays.
  returned: O(state=absent)
  type: list
  elements: str
  sample: [ConfigMap/theirs]
addresses:
  description: Addresses that load balancers were given, by the name of the Service.
  returned: success
  type: dict
  sample: {web-lb: 192.0.2.10}
ports:
  description: Ports of the nodes, by the name of the Service and of the port.
  returned: success
  type: dict
  sample: {web-nodeport: {http: 30080}}
hosts:
  description:
    - Where a Service of the set has ports of the nodes, addresses of the nodes on which ready pods of the
      set run.
    - The others do not answer on these ports when the Service says C(externalTrafficPolicy=Local).
  returned: success
  type: list
  elements: str
  sample: [192.0.2.11]
"""

import typing as t

from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes import namespaces, reasons
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.compare import comparable
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.resources import (
    Object,
    name_of,
    resource_of,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.secrets import secret_objects
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.session import (
    CONNECTION_ARGUMENTS,
    ClusterSession,
    run_module,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.sets import (
    Change,
    Planner,
    completed,
    diff_of,
    execute,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.store import SET_LABEL, Store
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.waiting import (
    wait_for,
    wait_gone,
    waits,
)

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "namespace_labels": {"type": "dict", "default": {}},
    "objects": {"type": "list", "elements": "dict", "default": []},
    "secrets": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "no_log": False,
        "options": {
            "name": {"type": "str", "required": True},
            "type": {"type": "str", "default": "Opaque"},
            "data": {"type": "dict", "no_log": True},
            "self_signed_hosts": {"type": "list", "elements": "str", "default": []},
        },
    },
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "prune": {"type": "bool", "default": True},
    "obsolete_sets": {"type": "list", "elements": "str", "default": []},
    "grace_period": {"type": "int", "default": 10},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 300},
    **CONNECTION_ARGUMENTS,
}

NO_ADDRESSES: dict[str, t.Any] = {"addresses": {}, "ports": {}, "hosts": []}
NamespaceChange = tuple[t.Optional[Object], t.Optional[Object]]


def result_of(
    store: Store, space: NamespaceChange | None, changes: list[Change], **more: t.Any
) -> dict[str, t.Any]:
    """Return the module's result."""
    diff, done = diff_of(changes), [{"object": one.title, "action": one.action} for one in changes]
    if space is not None:
        before, after = space
        action = "created" if before is None else "changed" if after is not None else "removed"
        done.insert(
            len(done) if after is None else 0, {"object": f"Namespace/{store.namespace}", "action": action}
        )
        for key, value in (("before", before), ("after", after)):
            if value is not None:
                diff[key][f"Namespace/{store.namespace}"] = comparable(value)
    return {"changed": bool(done), "diff": diff, "changes": done, **more}


def addresses(store: Store, desired: list[Object]) -> dict[str, t.Any]:
    """Return what the cluster allotted to the Services that are open to the outside."""
    told: dict[str, t.Any] = {"addresses": {}, "ports": {}, "hosts": []}
    for one in desired:
        if one["kind"] != "Service" or one["spec"].get("type") not in ("LoadBalancer", "NodePort"):
            continue
        now = store.get(resource_of(one), name_of(one)) or {}
        address = reasons.address_of(now)
        ports = {
            port.get("name", ""): port["nodePort"]
            for port in (now.get("spec") or {}).get("ports") or []
            if "nodePort" in port
        }
        if address:
            told["addresses"][name_of(one)] = address
        if ports:
            told["ports"][name_of(one)] = ports
        if one["spec"]["type"] == "NodePort":
            told["hosts"] = reasons.ready_hosts(store.pods())
    return told


def obsolete(session: ClusterSession, store: Store) -> list[Change]:
    """Return the removals of the sets that are not wanted any more."""
    found: list[Change] = []
    for name in session.params["obsolete_sets"]:
        other = Store(session.client, store.namespace, name, store.manager)
        found += Planner(other, ask=True, excuse=session.excuse).plan([], prune=True)
    return found


def present(session: ClusterSession, store: Store) -> dict[str, t.Any]:
    """Make the set as wanted."""
    params, live = session.params, store.namespace_object()
    space = namespaces.plan(store, live, params["namespace_labels"])
    secrets = secret_objects(store, params["secrets"], live is not None)
    desired = completed([*secrets, *params["objects"]], store.namespace, store.name)
    planner = Planner(store, ask=live is not None, excuse=session.excuse)
    changes = planner.plan(desired, params["prune"])
    if live is not None:
        changes += obsolete(session, store)
    if not session.check_mode:
        if space is not None:
            store.apply_namespace(
                namespaces.desired(store.namespace, params["namespace_labels"]), dry_run=False
            )
        for change in changes:
            execute(store, change)
    if params["wait"] and not session.check_mode:
        for one in filter(waits, desired):
            wait_for(session.client, one, params["wait_timeout"], session.clock)
    told = addresses(store, desired) if live is not None or not session.check_mode else NO_ADDRESSES
    ours = space is not None or namespaces.is_ours(live)
    return result_of(store, space, changes, namespace_ours=ours, **told)


def absent(session: ClusterSession, store: Store) -> dict[str, t.Any]:
    """Remove the set, and the namespace when it was made for it and is empty then."""
    params, live = session.params, store.namespace_object()
    told: dict[str, t.Any] = {**NO_ADDRESSES, "namespace_left": []}
    if live is None:
        return result_of(store, None, [], namespace_ours=False, **told)
    changes = Planner(store, ask=True, excuse=session.excuse).plan([], prune=True)
    changes += obsolete(session, store)
    ours, space = namespaces.is_ours(live), None
    pods = f"/api/v1/namespaces/{store.namespace}/pods?labelSelector={SET_LABEL}%3D{store.name}"
    if ours and "deletionTimestamp" not in live["metadata"]:
        gone = {(one.resource.kind, one.name) for one in changes}
        gone |= {("Pod", name_of(one)) for one in store.pods()}
        told["namespace_left"] = namespaces.left_in(session.client, store.namespace, gone)
        space = (live, None) if not told["namespace_left"] else None
    if not session.check_mode:
        for change in changes:
            execute(store, change)
        if changes:
            store.end_pods(params["grace_period"])
        paths = [one.resource.path(store.namespace, one.name) for one in changes]
        if params["wait"] and changes:
            wait_gone(session.client, [*paths, pods], params["wait_timeout"], session.clock)
        if space is not None:
            path = f"/api/v1/namespaces/{store.namespace}"
            store.delete(path)
            if params["wait"]:
                wait_gone(session.client, [path], params["wait_timeout"], session.clock)
    return result_of(store, space, changes, namespace_ours=ours, **told)


def run(session: ClusterSession) -> dict[str, t.Any]:
    """Read, compare, act, wait, report."""
    name, namespace = session.params["name"], session.params["namespace"]
    store = Store(session.client, namespace, name, f"private_ai.chatbot/{name}")
    return present(session, store) if session.params["state"] == "present" else absent(session, store)


def main() -> None:
    """Entry point of the module."""
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
