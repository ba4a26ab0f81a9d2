# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the kubernetes library is loaded, each time in a Python of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes import client

LOAD = """
import sys
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.client import load_library
config, configuration, rest = load_library()
from kubernetes.config import kube_config
"""
NOTHING_TOO_MUCH = """
assert not {"requests", "oauthlib", "requests_oauthlib"} & set(sys.modules), "loaded, and not needed"
"""
BEHIND_A_PROXY = """
one = configuration()
one.host, one.proxy = "https://cluster.example", "http://proxy.example:3128"
assert type(rest(one).pool_manager).__name__ == "ProxyManager"
one.no_proxy = "cluster.example"
assert type(rest(one).pool_manager).__name__ == "PoolManager"
"""
OPENID_CONNECT = """
session = kube_config.OAuth2Session(client_id="us")
import requests_oauthlib
assert isinstance(session, requests_oauthlib.OAuth2Session)
assert issubclass(kube_config.oauthlib.oauth2.rfc6749.errors.InvalidClientIdError, Exception)
"""


@pytest.mark.parametrize("use", [NOTHING_TOO_MUCH, BEHIND_A_PROXY, OPENID_CONNECT])
def test_what_is_seldom_needed_is_loaded_then(use: str) -> None:
    # The library may be somewhere else than this Python's own packages.
    places = [str(Path(client.__file__).parents[6]), *sys.path]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    done = subprocess.run(
        [sys.executable, "-c", LOAD + use], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
