#!/usr/bin/python
# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell when the certificates of a namespace end."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_certificate_info
short_description: When the certificates in the Secrets of a namespace end
version_added: 0.2.0
description:
  - Reads the certificates (C(tls.crt)) of all Secrets of a namespace, those of Skupper's links among them.
  - Keys are neither read from the answer nor returned.
extends_documentation_fragment:
  - private_ai.chatbot.kubernetes
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.facts_module
  - private_ai.chatbot.attributes.actiongroup_kubernetes
options:
  namespace:
    description: The namespace.
    type: str
    required: true
requirements:
  - cryptography (Python library)
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: Certificates that end within a month
  private_ai.chatbot.kubernetes_certificate_info:
    namespace: ilab-chat
  register: found
  failed_when: found.certificates | selectattr('days_left', '<', 30) | length > 0
"""

RETURN = r"""
certificates:
  description: One entry for each certificate, the one that ends first at the top.
  returned: always
  type: list
  elements: dict
  contains:
    secret:
      description: Name of the Secret.
      type: str
    subject:
      description: Whom it is for.
      type: str
    not_after:
      description: When it ends, in UTC.
      type: str
    days_left:
      description: Whole days until then; negative when it has ended.
      type: int
  sample:
    - secret: chatbot-tls
      subject: CN=chat.example.com
      not_after: "2027-11-21T00:00:00+00:00"
      days_left: 364
"""

import datetime
import typing as t

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes import certificates
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.session import (
    CONNECTION_ARGUMENTS,
    ClusterSession,
    run_module,
)

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "namespace": {"type": "str", "required": True},
    **CONNECTION_ARGUMENTS,
}


def run(session: ClusterSession) -> dict[str, t.Any]:
    """Read, and report."""
    if not certificates.HAVE_CRYPTOGRAPHY:
        session.module.fail_json(msg=missing_required_lib("cryptography"))
    now = datetime.datetime.now(datetime.timezone.utc)
    answer = session.client.request("GET", f"/api/v1/namespaces/{session.params['namespace']}/secrets")
    found = [certificates.described(one, now) for one in answer.get("items") or []]
    ordered = sorted((one for one in found if one), key=lambda one: (one["days_left"], one["secret"]))
    return {"changed": False, "certificates": ordered}


def main() -> None:
    """Entry point of the module."""
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
