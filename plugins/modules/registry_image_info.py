#!/usr/bin/python
# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell whether a registry has an image, and which one it is."""

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_image_info
short_description: Whether a registry has an image
version_added: 0.2.0
description:
  - Asks a registry of container images for the manifest of one image and pulls nothing.
  - The ID that Podman shows of an image is the digest of its configuration, so the two tell whether the
    registry has what was built here.
  - C(podman manifest inspect) of Podman 4.3 takes neither credentials nor a registry without TLS.
extends_documentation_fragment:
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.facts_module
  - private_ai.chatbot.attributes.actiongroup_chatbot
options:
  image:
    description: Name of the image with its registry, by tag or by digest.
    type: str
    required: true
  username:
    description: Name to log in with. Without it, what C(podman login) or C(docker login) left is used.
    type: str
  password:
    description: Password or token for O(username).
    type: str
  validate_certs:
    description:
      - Whether the registry must have a certificate that this host trusts.
      - With V(false) a registry without TLS is asked as well.
    type: bool
    default: true
  timeout:
    description: Seconds that each answer may take.
    type: int
    default: 30
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: Is it there
  private_ai.chatbot.registry_image_info:
    image: registry.example.com/chat/chatbot:1
    username: puller
    password: "{{ registry_password }}"
  register: remote
"""

RETURN = r"""
found:
  description: Whether the registry has the image.
  returned: success
  type: bool
  sample: true
digest:
  description: Digest of its manifest, by which it is pulled; empty when there is none.
  returned: success
  type: str
  sample: sha256:a9601d63ec49dfdf2deaa0951ee1bf013a792882a05f2cdfe4abca93e7e3ebac
config:
  description: Digest of its configuration, the ID of the image; empty for an index of several architectures.
  returned: success
  type: str
  sample: sha256:15a183a84d6060e453ca57186487d9cc6963335d90aa1cafea7084e3f0c4bd03
"""

import http.client
import os
import typing as t
from urllib.error import HTTPError

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import ConnectionError as NoConnection
from ansible.module_utils.urls import open_url
from ansible_collections.private_ai.chatbot.plugins.module_utils.registry.client import (
    Answer,
    Image,
    RegistryError,
    basic,
    files_of_logins,
    look,
    parse,
    stored_login,
)


def fetcher(validate_certs: bool, timeout: int) -> t.Callable[[str, t.Mapping[str, str]], Answer]:
    """Return what asks for an address."""

    def fetch(url: str, headers: t.Mapping[str, str]) -> Answer:
        said: t.Any
        try:
            said = open_url(url, headers=dict(headers), validate_certs=validate_certs, timeout=timeout)
        except HTTPError as error:
            said = error
        except (NoConnection, http.client.HTTPException) as error:
            raise OSError(str(error)) from error
        with said:
            told = {name.lower(): value for name, value in said.headers.items()}
            return Answer(said.getcode(), told, said.read())

    return fetch


def login_of(params: t.Mapping[str, t.Any], image: Image) -> str:
    """Return the header of a login, empty when there is none."""
    if params["username"]:
        return basic(params["username"], params["password"])
    for path in files_of_logins(os.environ, os.getuid()):
        try:
            with open(path, encoding="utf-8") as file:
                found = stored_login(file.read(), image)
        except OSError:
            continue
        if found:
            return found
    return ""


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "image": {"type": "str", "required": True},
            "username": {"type": "str"},
            "password": {"type": "str", "no_log": True},
            "validate_certs": {"type": "bool", "default": True},
            "timeout": {"type": "int", "default": 30},
        },
        required_together=[("username", "password")],
        supports_check_mode=True,
    )
    params = module.params
    schemes = ["https"] if params["validate_certs"] else ["https", "http"]
    try:
        image = parse(params["image"])
        login = login_of(params, image)
        if login:
            module.no_log_values.add(login.partition(" ")[2])
        found = look(fetcher(params["validate_certs"], params["timeout"]), image, login, schemes)
    except RegistryError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
