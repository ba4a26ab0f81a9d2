#!/usr/bin/python
# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find out what a cluster is like and what it lacks."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_preflight
short_description: Find out what a cluster offers, and what is missing before anything is written
version_added: 0.2.0
description:
  - Looks at the cluster's version, its kinds, the namespace, the classes and the controller of Ingress
    objects, the networks of pods, and at what this user may write.
  - What is wrong is returned with its remedy, all of it. The module does not fail because of it; the caller
    decides.
extends_documentation_fragment:
  - private_ai.chatbot.kubernetes
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.facts_module
  - private_ai.chatbot.attributes.actiongroup_kubernetes
options:
  namespace:
    description: Namespace in which something is to be written.
    type: str
    required: true
  ingress_class:
    description: Class of Ingress objects to look at. Without it, the default class, or the only one.
    type: str
  kinds:
    description: Kinds that are to be written; the user's permission is looked at for each.
    type: list
    elements: str
    default: []
  secrets:
    description: Secrets that must be there, each with the key that is needed of it.
    type: dict
    default: {}
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: Look at the cluster
  private_ai.chatbot.kubernetes_preflight:
    namespace: ilab-chat
    kinds: [Deployment, Service, Ingress]
  register: preflight

- name: Stop with the remedies when something is missing
  ansible.builtin.assert:
    that: preflight.problems | selectattr('blocking') | length == 0
    fail_msg: "{{ preflight.problems | map(attribute='what') | join('; ') }}"
"""

RETURN = r"""
cluster:
  description: What the cluster is like; null when it cannot be reached.
  returned: always
  type: dict
  contains:
    host:
      description: Address of the API server.
      type: str
    version:
      description: Version of Kubernetes.
      type: str
    openshift:
      description: Whether it is an OpenShift.
      type: bool
    groups:
      description: Groups of kinds that it knows.
      type: list
      elements: str
    namespace:
      description: Whether the namespace exists, was made by this collection, is being removed.
      type: dict
    ingress:
      description: Classes, the class that counts, its controller, the namespaces of the controller's pods.
      type: dict
    network:
      description: Networks of pods and addresses of nodes, as far as they may be read.
      type: dict
    custom_metrics:
      description: Metrics that an autoscaler can use besides CPU and memory.
      type: list
      elements: str
  sample:
    host: https://192.0.2.1:6443
    version: v1.36.3
    openshift: false
    groups: [apps, networking.k8s.io]
    namespace: {exists: false, ours: false, terminating: false}
    ingress:
      classes: [nginx]
      class: nginx
      controller: nginx.org/ingress-controller
      namespaces: [nginx-ingress]
      host_network: false
      addresses: [10.244.1.7]
      retired: false
    network: {pods: [10.244.0.0/24], nodes: [192.0.2.1]}
    custom_metrics: []
problems:
  description: What is missing, the blocking ones first; empty when all is well.
  returned: always
  type: list
  elements: dict
  contains:
    what:
      description: What is wrong.
      type: str
    remedy:
      description: What helps.
      type: str
    blocking:
      description: Whether nothing can run before it is done.
      type: bool
  sample:
    - what: "this user may not write in namespace ilab-chat: ingresses"
      remedy: kubectl -n ilab-chat create rolebinding chatbot --clusterrole=admin --user=USER
      blocking: true
"""

import typing as t

from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.session import (
    CONNECTION_ARGUMENTS,
    ClusterSession,
    run_module,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.survey import Survey

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "namespace": {"type": "str", "required": True},
    "ingress_class": {"type": "str"},
    "kinds": {"type": "list", "elements": "str", "default": []},
    # Names of Secrets and of their keys, no values.
    "secrets": {"type": "dict", "default": {}, "no_log": False},
    **CONNECTION_ARGUMENTS,
}


def run(session: ClusterSession) -> dict[str, t.Any]:
    """Look, and report."""
    params = session.params
    survey = Survey(session.client, params["namespace"])
    reached = survey.run(params["ingress_class"], params["secrets"])
    if reached:
        survey.may_write(params["kinds"])
    problems = sorted(survey.problems, key=lambda one: not one["blocking"])
    return {"changed": False, "cluster": survey.facts if reached else None, "problems": problems}


def main() -> None:
    """Entry point of the module."""
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
