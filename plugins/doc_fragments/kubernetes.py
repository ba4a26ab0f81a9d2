# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options for the connection to a cluster."""

from __future__ import annotations


class ModuleDocFragment:
    """Keep in step with the arguments in module_utils/kubernetes/arguments.py."""

    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Path of a kubeconfig, or its content as a mapping.
      - Without it, E(KUBECONFIG), then C(~/.kube/config), then the credentials of the pod.
      - Environment variable E(K8S_AUTH_KUBECONFIG).
    type: raw
  context:
    description:
      - Context of the kubeconfig. Environment variable E(K8S_AUTH_CONTEXT).
    type: str
  host:
    description:
      - URL of the API server. With it, no kubeconfig is read. Environment variable E(K8S_AUTH_HOST).
    type: str
  api_key:
    description:
      - Bearer token for the API server. Environment variable E(K8S_AUTH_API_KEY).
    type: str
  username:
    description:
      - User for the API server. Environment variable E(K8S_AUTH_USERNAME).
    type: str
  password:
    description:
      - Password for the API server. Environment variable E(K8S_AUTH_PASSWORD).
    type: str
  client_cert:
    description:
      - Path of a client certificate. Environment variable E(K8S_AUTH_CERT_FILE).
    type: path
  client_key:
    description:
      - Path of its key. Environment variable E(K8S_AUTH_KEY_FILE).
    type: path
  ca_cert:
    description:
      - Path of the CA that the API server's certificate is checked with. Environment variable
        E(K8S_AUTH_SSL_CA_CERT).
    type: path
  validate_certs:
    description:
      - Whether the API server's certificate is checked. Environment variable E(K8S_AUTH_VERIFY_SSL).
    type: bool
  proxy:
    description:
      - URL of an HTTP proxy towards the API server. Environment variable E(K8S_AUTH_PROXY).
    type: str
  no_proxy:
    description:
      - Hosts that are reached without it, with commas between. Environment variable E(K8S_AUTH_NO_PROXY).
    type: str
  impersonate_user:
    description:
      - User to act as. Environment variable E(K8S_AUTH_IMPERSONATE_USER).
    type: str
requirements:
  - kubernetes 24.2 or newer (Python library), to reach a cluster
"""
