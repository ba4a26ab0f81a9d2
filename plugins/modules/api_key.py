#!/usr/bin/python
# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep the file with the gateway's generated key."""

from __future__ import annotations

DOCUMENTATION = r"""
module: api_key
short_description: Generate an API key once and keep it in a file
version_added: 0.1.0
description:
  - Generates a key of 32 random bytes on the host, once, and keeps it in a file that only its owner can read.
  - Returns the key's SHA-256, which is all that the gateway needs.
extends_documentation_fragment:
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.actiongroup_chatbot
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - The key is never shown.
  idempotent:
    support: full
    details:
      - Not with O(regenerate=true).
options:
  path:
    description: File on the host. Its directory is made (mode 0700) when it is missing.
    type: path
    required: true
  state:
    description: Whether the file exists.
    type: str
    choices: [present, absent]
    default: present
  regenerate:
    description: Replace the key by a new one.
    type: bool
    default: false
  return_key:
    description: Also return the key itself. Use it with C(no_log).
    type: bool
    default: false
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: Generate the key of the gateway
  private_ai.chatbot.api_key:
    path: /var/lib/private-ai/api-key
  register: key
"""

RETURN = r"""
path:
  description: The file.
  returned: always
  type: str
  sample: /var/lib/private-ai/api-key
sha256:
  description: SHA-256 of the key in hexadecimal; null when there is no key (so too in check mode before it is made).
  returned: always
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
generated:
  description: Whether a new key was (or in check mode would be) generated.
  returned: always
  type: bool
  sample: true
key:
  description: The key itself.
  returned: when O(return_key=true) and there is one
  type: str
  sample: pai_...
"""

import hashlib
import os
import re
import secrets
import stat
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.private_ai.chatbot.plugins.module_utils.files import write_file

MODE = 0o600
#: Recognisable in a log or a repository by those who look for leaked keys.
PREFIX = "pai_"
_KEY = re.compile(r"^[\x21-\x7e]{16,512}$")


def read_key(path: str) -> str | None:
    """Return the key in the file, None when there is no file; ValueError when it holds no key."""
    try:
        with open(path, encoding="ascii") as stream:
            key = stream.read().strip()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        key = ""
    if not _KEY.match(key):
        raise ValueError(
            f"{path} holds no key: 16 to 512 printable characters on one line are expected; "
            f"write one there, or remove the file to have one generated"
        )
    return key


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """Read, compare, act, report."""
    path = module.params["path"]
    key = None if module.params["regenerate"] and module.params["state"] == "present" else read_key(path)
    exists = os.path.lexists(path)
    mode = stat.S_IMODE(os.stat(path).st_mode) if os.path.exists(path) else None
    before = {"path": path, "mode": f"{mode:04o}", "key": "<hidden>"} if mode is not None else {}
    if module.params["state"] == "absent":
        if exists and not module.check_mode:
            os.unlink(path)
        return {"changed": exists, "path": path, "sha256": None, "generated": False, "diff": {"before": before, "after": {}}}
    generated = key is None
    if generated and not module.check_mode:
        key = PREFIX + secrets.token_urlsafe(32)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        write_file(path, (key + "\n").encode(), MODE)
    elif mode != MODE and not module.check_mode:
        os.chmod(path, MODE)
    after = {"path": path, "mode": f"{MODE:04o}", "key": "<changed>" if generated and before else "<hidden>"}
    result: dict[str, t.Any] = {
        "changed": generated or mode != MODE,
        "path": path,
        "sha256": hashlib.sha256(key.encode()).hexdigest() if key else None,
        "generated": generated,
        "diff": {"before": before, "after": after},
    }
    if key and module.params["return_key"]:
        result["key"] = key
    return result


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "regenerate": {"type": "bool", "default": False},
            "return_key": {"type": "bool", "default": False, "no_log": False},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**run(module))
    except (OSError, ValueError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
