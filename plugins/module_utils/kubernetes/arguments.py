# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Options of every module that works with a cluster."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import env_fallback

Arguments = dict[str, dict[str, t.Any]]


def _connection(kind: str, variable: str, **more: t.Any) -> dict[str, t.Any]:
    return {"type": kind, "fallback": (env_fallback, [variable]), **more}


#: Keep these in step with the documentation fragment ``private_ai.chatbot.kubernetes``.
CONNECTION_ARGUMENTS: Arguments = {
    "kubeconfig": _connection("raw", "K8S_AUTH_KUBECONFIG"),
    "context": _connection("str", "K8S_AUTH_CONTEXT"),
    "host": _connection("str", "K8S_AUTH_HOST"),
    "api_key": _connection("str", "K8S_AUTH_API_KEY", no_log=True),
    "username": _connection("str", "K8S_AUTH_USERNAME"),
    "password": _connection("str", "K8S_AUTH_PASSWORD", no_log=True),
    "client_cert": _connection("path", "K8S_AUTH_CERT_FILE"),
    "client_key": _connection("path", "K8S_AUTH_KEY_FILE", no_log=False),
    "ca_cert": _connection("path", "K8S_AUTH_SSL_CA_CERT"),
    "validate_certs": _connection("bool", "K8S_AUTH_VERIFY_SSL"),
    "proxy": _connection("str", "K8S_AUTH_PROXY"),
    "no_proxy": _connection("str", "K8S_AUTH_NO_PROXY"),
    "impersonate_user": _connection("str", "K8S_AUTH_IMPERSONATE_USER"),
}
