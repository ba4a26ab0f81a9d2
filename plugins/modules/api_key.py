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
  - A file that grants more than O(mode) is repaired. A key that others could read meanwhile should be
    replaced (O(regenerate=true)); a warning says so.
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
    description:
      - File on the host. Its directory is made (mode 0700) when it is missing.
      - It belongs to the user that the module works as.
      - Without it, where role private_model keeps its key for this user.
    type: path
  state:
    description: Whether the file exists.
    type: str
    choices: [present, absent]
    default: present
  mode:
    description: Most that the file's mode may grant, in octal. Reading by everybody is refused.
    type: str
    default: "0600"
  key:
    description:
      - A key of your own. It is checked and hashed; nothing is generated, and nothing is written.
    type: str
  regenerate:
    description: Replace the key by a new one.
    type: bool
    default: false
  return_key:
    description:
      - Also return the key itself. The task then needs C(no_log=true), because what a module returns is shown
        and logged.
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

- name: Read it for a client
  private_ai.chatbot.api_key:
    path: /var/lib/private-ai/api-key
    return_key: true
  register: key_itself
  no_log: true

- name: Replace it
  private_ai.chatbot.api_key:
    path: /var/lib/private-ai/api-key
    regenerate: true

- name: Hash a key of your own
  private_ai.chatbot.api_key:
    path: /var/lib/private-ai/api-key
    key: "{{ vault_key }}"
"""

RETURN = r"""
path:
  description: The file.
  returned: always
  type: str
  sample: /var/lib/private-ai/api-key
sha256:
  description: SHA-256 of the key in hexadecimal; null when there is no key (or in check mode not yet).
  returned: always
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
fingerprint:
  description: The first 8 digits of RV(sha256), to tell keys apart; null when there is no key.
  returned: always
  type: str
  sample: 9f86d081
created:
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
from ansible_collections.private_ai.chatbot.plugins.module_utils.directories import default_data_directory
from ansible_collections.private_ai.chatbot.plugins.module_utils.files import write_file

#: Recognisable in a log or a repository by those who look for leaked keys.
PREFIX = "pai_"
_KEY = re.compile(r"^[\x21-\x7e]{16,512}$")
_EXPECTED = "16 to 512 printable characters without spaces, on one line, are expected"


def read_key(path: str) -> str | None:
    """Return the key in the file, None when there is no file; ValueError when it holds no key."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ValueError(f"{path} is not a file; give the path of one, or of one to make")
        with open(path, encoding="ascii") as stream:
            key = stream.read(1024).strip()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        key = ""
    except PermissionError as error:
        raise ValueError(
            f"{path} cannot be read: {error.strerror}; it has to belong to the user that Ansible works as"
        ) from error
    if not _KEY.match(key):
        raise ValueError(
            f"{path} holds no key: {_EXPECTED}; write one there, or remove the file to have one generated"
        )
    return key


def mode_of(text: str) -> int:
    """Return the mode as a number; ValueError when it is none, or one that does not protect a key."""
    if not re.match(r"^0?[0-7]{3}$", text):
        raise ValueError(f"mode is {text!r}; write it in octal, such as '0600'")
    mode = int(text, 8)
    if mode & 0o137 or not mode & stat.S_IRUSR:
        raise ValueError(
            f"mode is {text!r}; at most '0640' is allowed for a key, and its owner has to read it"
        )
    return mode


def told(key: str | None) -> dict[str, t.Any]:
    """Return what is told of a key."""
    digest = hashlib.sha256(key.encode()).hexdigest() if key else None
    return {"sha256": digest, "fingerprint": digest[:8] if digest else None}


def seen(path: str) -> dict[str, t.Any]:
    """Return what of the file is compared; empty when there is none."""
    if not os.path.exists(path):
        return {}
    return {"path": path, "mode": f"{stat.S_IMODE(os.stat(path).st_mode):04o}", "key": "<hidden>"}


def absent(module: AnsibleModule) -> dict[str, t.Any]:
    """Remove the file."""
    path = module.params["path"]
    before, exists = seen(path), os.path.lexists(path)
    if exists and not module.check_mode:
        os.unlink(path)
    return {
        "changed": exists,
        "path": path,
        **told(None),
        "created": False,
        "diff": {"before": before, "after": {}},
    }


def supplied(module: AnsibleModule) -> dict[str, t.Any]:
    """Tell of a key that the user keeps; nothing is written."""
    key = module.params["key"]
    if not _KEY.match(key):
        raise ValueError(f"key is not usable: {_EXPECTED}, and this one has {len(key)} characters")
    return {"changed": False, "path": module.params["path"], **told(key), "created": False}


def present(module: AnsibleModule) -> dict[str, t.Any]:
    """Read, compare, act, report."""
    path, wanted = module.params["path"], mode_of(module.params["mode"])
    key = None if module.params["regenerate"] else read_key(path)
    before = seen(path)
    created = key is None
    mode = wanted if created else int(before["mode"], 8)
    repaired = mode & wanted
    if created and not module.check_mode:
        key = PREFIX + secrets.token_urlsafe(32)
        os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
        write_file(path, (key + "\n").encode(), wanted)
    elif mode != repaired:
        module.warn(
            f"{path} had mode {mode:04o}, so others could read the key; if anybody else works on this host, "
            f"replace it (regenerate: true)"
        )
        if not module.check_mode:
            os.chmod(path, repaired)
    if key and not module.params["return_key"]:
        module.no_log_values.add(key)
    after = {
        "path": path,
        "mode": f"{repaired:04o}",
        "key": "<changed>" if created and before else "<hidden>",
    }
    result = {"changed": created or mode != repaired, "path": path, **told(key), "created": created}
    result["diff"] = {"before": before, "after": after}
    if key and module.params["return_key"]:
        result["key"] = key
    return result


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """Do what the options say."""
    module.params["path"] = module.params["path"] or os.path.join(default_data_directory(), "api-key")
    if module.params["state"] == "absent":
        return absent(module)
    return supplied(module) if module.params["key"] is not None else present(module)


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "mode": {"type": "str", "default": "0600"},
            "key": {"type": "str", "no_log": True},
            "regenerate": {"type": "bool", "default": False},
            "return_key": {"type": "bool", "default": False, "no_log": False},
        },
        supports_check_mode=True,
        mutually_exclusive=[("key", "regenerate"), ("key", "return_key")],
    )
    try:
        module.exit_json(**run(module))
    except (OSError, ValueError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
