#!/usr/bin/python
# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check a GGUF file and put it where it is served from, whole or not at all."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gguf_file
short_description: Check a model in GGUF form and place it atomically
version_added: 0.1.0
description:
  - Reads the head of a GGUF file on the host and refuses one that is truncated, damaged, of another checksum or of a kind
    that cannot be served, before anything is changed.
  - Copies it to its place under a temporary name and renames it; what was there before stays until then.
extends_documentation_fragment:
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.actiongroup_chatbot
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  src:
    description: The file on the host. Needed for O(state=present).
    type: path
  dest:
    description: Where it is served from. Its directory must exist. Needed unless O(verify_only=true).
    type: path
  state:
    description: Whether the file at O(dest) exists.
    type: str
    choices: [present, absent]
    default: present
  sha256:
    description: SHA-256 that the file must have, in hexadecimal. Without it, it is not compared.
    type: str
  architectures:
    description: Architectures that can be served.
    type: list
    elements: str
    default: [deepseek2, gemma, gemma2, gemma3, granite, llama, mistral3, phi2, phi3, qwen2, qwen2moe, qwen3, qwen3moe, starcoder2]
  mode:
    description: Mode of the file at O(dest). Containers run as another user, so it must be readable to all.
    type: str
    default: "0644"
  verify_only:
    description: Only check O(src), place nothing.
    type: bool
    default: false
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: Place a model
  private_ai.chatbot.gguf_file:
    src: /srv/incoming/model.gguf
    dest: /var/lib/private-ai/models/model.gguf
    sha256: "{{ expected }}"
"""

RETURN = r"""
model:
  description: What the file says of itself; null when O(state=absent).
  returned: always
  type: dict
  contains:
    architecture: {description: Architecture in llama.cpp's words., type: str}
    name: {description: Name of the model., type: str}
    parameters: {description: Number of parameters., type: int}
    quantization: {description: Type of most of them., type: str}
    context_length: {description: Longest context in tokens., type: int}
    tokenizer: {description: Kind of the tokenizer., type: str}
    pre_tokenizer: {description: Pre-tokenizer in llama.cpp's words., type: str}
    chat_template: {description: Whether it brings a chat template., type: bool}
    size: {description: Size in bytes., type: int}
    sha256: {description: SHA-256 in hexadecimal., type: str}
  sample:
    architecture: qwen2
    name: Demo
    parameters: 690000
    quantization: F16
    context_length: 2048
    tokenizer: llama
    pre_tokenizer: default
    chat_template: true
    size: 1400000
    sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
"""

import os
import re
import stat
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.private_ai.chatbot.plugins.module_utils.files import copy_file, sha256_of
from ansible_collections.private_ai.chatbot.plugins.module_utils.gguf import GgufError, check, describe, read_header

ARCHITECTURES = [
    "deepseek2",
    "gemma",
    "gemma2",
    "gemma3",
    "granite",
    "llama",
    "mistral3",
    "phi2",
    "phi3",
    "qwen2",
    "qwen2moe",
    "qwen3",
    "qwen3moe",
    "starcoder2",
]


def verified(path: str, sha256: str | None, architectures: list[str]) -> dict[str, t.Any]:
    """Return the description of a file that can be served; GgufError with the reason otherwise."""
    if not os.path.isfile(path):
        raise GgufError(f"{path} cannot be served: there is no such file; give the path of a GGUF file on this host")
    try:
        header = read_header(path)
        size = os.path.getsize(path)
        check(header, size, architectures)
        actual = sha256_of(path)
        if sha256 and actual != sha256.lower():
            raise GgufError(f"its SHA-256 is {actual}, expected is {sha256.lower()}; copy or download it again")
    except GgufError as error:
        raise GgufError(f"{path} cannot be served: {error}") from error
    return describe(header, size, actual)


def placed(path: str | None) -> dict[str, t.Any]:
    """Return what of the file at ``path`` is compared; empty when there is none."""
    if not path or not os.path.isfile(path):
        return {}
    return {"sha256": sha256_of(path), "mode": f"{stat.S_IMODE(os.stat(path).st_mode):04o}"}


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """Read, compare, act, report."""
    params, dest = module.params, module.params["dest"]
    if params["state"] == "absent":
        exists = os.path.lexists(dest)
        before = placed(dest)
        if exists and not module.check_mode:
            os.unlink(dest)
        return {"changed": exists, "model": None, "diff": {"before": before, "after": {}}}
    if not re.match(r"^0?[0-7]{3}$", params["mode"]):
        raise ValueError(f"mode is {params['mode']!r}; write it in octal, such as '0644'")
    if params["sha256"] and not re.match(r"^[0-9a-fA-F]{64}$", params["sha256"]):
        raise ValueError(f"sha256 is {params['sha256']!r}; 64 hexadecimal digits are expected")
    model = verified(params["src"], params["sha256"], params["architectures"])
    if params["verify_only"]:
        return {"changed": False, "model": model}
    before, after = placed(dest), {"sha256": model["sha256"], "mode": f"{int(params['mode'], 8):04o}"}
    if before != after and not module.check_mode:
        if before.get("sha256") != after["sha256"]:
            copy_file(params["src"], dest, int(params["mode"], 8))
        else:
            os.chmod(dest, int(params["mode"], 8))
    return {"changed": before != after, "model": model, "diff": {"before": before, "after": after}}


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "src": {"type": "path"},
            "dest": {"type": "path"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "sha256": {"type": "str"},
            "architectures": {"type": "list", "elements": "str", "default": ARCHITECTURES},
            "mode": {"type": "str", "default": "0644"},
            "verify_only": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
        required_if=[("state", "present", ["src"]), ("state", "absent", ["dest"]), ("verify_only", False, ["dest"])],
    )
    try:
        module.exit_json(**run(module))
    except (ValueError, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
