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
  - Reads the head of a GGUF file on the host and refuses one that is truncated, damaged, of another checksum
    or of a kind that cannot be served, before anything is changed.
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
    default:
      - deepseek2
      - gemma
      - gemma2
      - gemma3
      - granite
      - llama
      - mistral3
      - phi2
      - phi3
      - qwen2
      - qwen2moe
      - qwen3
      - qwen3moe
      - starcoder2
  pre_tokenizers:
    description:
      - Pre-tokenizers that can be served. Only asked of models with a byte-pair vocabulary.
      - Without it, those that llama.cpp knows in the version of this collection's serving image.
    type: list
    elements: str
  mode:
    description:
      - Mode of the file at O(dest), in octal. Containers run as another user, so it has to let all read it.
    type: str
    default: "0644"
  checksum_cache:
    description:
      - File on the host that remembers checksums, so that a large file is read again only when its size,
        times, inode or device differ. Its directory must exist. Give the same to every task about a model.
      - Damage that leaves all of these as they were, such as that of a failing disk, is then not found;
        remove this file to have everything read again. It is not written in check mode.
    type: path
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
    checksum_cache: /var/lib/private-ai/models/checksums.json

- name: Only look at one
  private_ai.chatbot.gguf_file:
    src: /srv/incoming/model.gguf
    verify_only: true
  register: looked
"""

RETURN = r"""
model:
  description: What the file at O(src) says of itself; null when O(state=absent).
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
from ansible_collections.private_ai.chatbot.plugins.module_utils.files import Checksums, copy_file
from ansible_collections.private_ai.chatbot.plugins.module_utils.model_files import ARCHITECTURES, verified


def mode_of(text: str) -> int:
    """Return the mode as a number; ValueError when it is none or keeps the containers' user out."""
    if not re.match(r"^0?[0-7]{3}$", text):
        raise ValueError(f"mode is {text!r}; write it in octal, such as '0644'")
    mode = int(text, 8)
    if not mode & stat.S_IROTH:
        raise ValueError(
            f"mode is {text!r}, which keeps the user inside the containers from reading; write '0644'"
        )
    return mode


def placed(path: str, checksums: Checksums) -> dict[str, t.Any]:
    """Return what of the file at ``path`` is compared; empty when there is none."""
    if not os.path.isfile(path):
        return {}
    return {"sha256": checksums.sha256(path), "mode": f"{stat.S_IMODE(os.stat(path).st_mode):04o}"}


def must_fit(dest: str, size: int, check_mode: bool) -> None:
    """Raise ValueError when the file cannot be put there, with what is in the way."""
    folder = os.path.dirname(dest) or "."
    if os.path.isdir(dest):
        raise ValueError(f"dest {dest!r} is a directory; give the path of the file in it")
    if not os.path.isdir(folder):
        # In check mode a task before this one would have made it.
        if check_mode:
            return
        raise ValueError(
            f"the directory of dest {dest!r} does not exist; make it first (ansible.builtin.file)"
        )
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    if free < size:
        raise ValueError(
            f"{folder} has {free} bytes free, the copy needs {size} (what is there stays until then); "
            "make room or choose another directory"
        )


def place(params: dict[str, t.Any], model: dict[str, t.Any], mode: int) -> None:
    """Copy the file to its place; what was checked is what is placed, or nothing is."""
    copy_file(params["src"], params["dest"], mode, model["sha256"])


def remove(dest: str, check_mode: bool) -> dict[str, t.Any]:
    """Remove the file; its content does not matter any more and is not read."""
    exists = os.path.lexists(dest)
    if os.path.isdir(dest) and not os.path.islink(dest):
        raise ValueError(f"dest {dest!r} is a directory; give the path of the file in it")
    if exists and not check_mode:
        os.unlink(dest)
    return {
        "changed": exists,
        "model": None,
        "diff": {"before": {"path": dest} if exists else {}, "after": {}},
    }


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """Read, compare, act, report."""
    params, dest = module.params, module.params["dest"]
    if params["state"] == "absent":
        return remove(dest, module.check_mode)
    mode = mode_of(params["mode"])
    if params["sha256"] and not re.match(r"^[0-9a-fA-F]{64}$", params["sha256"]):
        raise ValueError(f"sha256 is {params['sha256']!r}; 64 hexadecimal digits are expected")
    checksums = Checksums(params["checksum_cache"])
    model = verified(
        params["src"], checksums, params["sha256"], params["architectures"], params["pre_tokenizers"]
    )
    if not model["chat_template"]:
        module.warn(
            f"{params['src']} has no chat template; the server then takes a general one, which may not fit"
        )
    result: dict[str, t.Any] = {"changed": False, "model": model}
    if not params["verify_only"]:
        before = placed(dest, checksums)
        after = {"sha256": model["sha256"], "mode": f"{mode:04o}"}
        copied = before.get("sha256") != after["sha256"]
        if copied:
            must_fit(dest, model["size"], module.check_mode)
        if before != after and not module.check_mode:
            if copied:
                place(params, model, mode)
            else:
                os.chmod(dest, mode)
            checksums.remember(dest, model["sha256"])
        result = {"changed": before != after, "model": model, "diff": {"before": before, "after": after}}
    if not module.check_mode:
        try:
            checksums.save()
        except OSError as error:
            module.warn(f"checksum_cache {params['checksum_cache']!r} cannot be written: {error.strerror}")
    return result


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "src": {"type": "path"},
            "dest": {"type": "path"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "sha256": {"type": "str"},
            "architectures": {"type": "list", "elements": "str", "default": list(ARCHITECTURES)},
            "pre_tokenizers": {"type": "list", "elements": "str", "no_log": False},
            "mode": {"type": "str", "default": "0644"},
            "checksum_cache": {"type": "path"},
            "verify_only": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
        required_if=[
            ("state", "present", ["src"]),
            ("state", "absent", ["dest"]),
            ("verify_only", False, ["dest"]),
        ],
    )
    try:
        module.exit_json(**run(module))
    except (ValueError, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
