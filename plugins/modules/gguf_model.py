#!/usr/bin/python
# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make a GGUF file from a model in the form of Hugging Face, again only when its inputs changed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gguf_model
short_description: Convert a model to GGUF and quantise it
version_added: 0.2.0
description:
  - Converts a model in the form of Hugging Face (C(config.json), C(*.safetensors), a tokenizer) with
    llama.cpp's own converter, and quantises it with its own quantiser, in a container without network.
  - What the file was made from (checksums of the source, where it is from, settings, the converter's version)
    is kept in a manifest beside it, O(dest) with C(.manifest.json), and in the file's own metadata below
    C(private_ai.). Neither holds a time, a path or an address, so that the same inputs make the same bytes.
  - Made again only when one of these differs or the file is not the one that the manifest describes.
  - What was there stays until the new file is complete. What an interrupted run left is removed by the next.
  - Architecture, tokenizer, disk space and memory are checked before the long work.
  - Two runs for files in the same directory wait for each other.
extends_documentation_fragment:
  - private_ai.chatbot.podman
  - private_ai.chatbot.podman_tool
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.actiongroup_chatbot
attributes:
  check_mode:
    support: full
    details:
      - Where the image is there, the converter is asked about the model; nothing is written.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  source:
    description:
      - Directory of the model on the host. Files directly in it are read, except those that a conversion does
        not need (hidden ones, C(*.md), C(*.gguf), C(*.bin), C(*.pt), C(manifest.json), C(training.json)); of
        C(README.md) the front matter counts. Needed for O(state=present).
    type: path
  dest:
    description: The file to make, with a name that ends in C(.gguf). Its directory must exist.
    type: path
    required: true
  state:
    description: Whether the file exists. V(absent) also removes its manifest and what was kept beside it.
    type: str
    choices: [present, absent]
    default: present
  outtype:
    description:
      - How weights are stored, or what is quantised when O(quantization) is given.
    type: str
    choices: [f32, f16, bf16, q8_0]
    default: f16
  quantization:
    description: What llama.cpp's quantiser makes of it; V(none) leaves it at O(outtype).
    type: str
    choices:
      - none
      - Q2_K
      - Q3_K_S
      - Q3_K_M
      - Q3_K_L
      - Q4_0
      - Q4_1
      - Q4_K_S
      - Q4_K_M
      - Q5_0
      - Q5_1
      - Q5_K_S
      - Q5_K_M
      - Q6_K
      - Q8_0
      - IQ4_NL
      - IQ4_XS
    default: none
  name:
    description:
      - Name of the model in the file's metadata. Without it, C(name) or the last part of C(repository) of its
        provenance.
    type: str
  provenance:
    description:
      - Where the model is from, such as C(repository) and C(commit); texts and numbers.
      - Without it, what the directory says of itself in C(training.json) (its C(provenance)) or
        C(.snapshot.json).
    type: dict
  keep_intermediate:
    description: Keep the file before quantising beside O(dest), with O(outtype) in its name.
    type: bool
    default: false
  image:
    description:
      - The converter's image. Its label C(io.private-ai.chatbot.converter) names the version; while there is
        no image, its tag does.
    type: str
    default: localhost/private-ai/converter:0.3.36
  memory_limit:
    description: Memory of the container, such as V(8g). Without it, the host's.
    type: str
  threads:
    description: Threads that convert and quantise; V(0) takes all. The result does not depend on it.
    type: int
    default: 0
  timeout:
    description: Seconds that converting may take, and waiting for another run; at least 1.
    type: int
    default: 7200
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: Convert and quantise
  private_ai.chatbot.gguf_model:
    source: /var/lib/private-ai/sources/deepseek-ai--DeepSeek-R1-Distill-Qwen-1.5B
    dest: /var/lib/private-ai/converted/r1/model.gguf
    outtype: bf16
    quantization: Q4_K_M
    checksum_cache: /var/lib/private-ai/checksums.json
    progress_file: /var/cache/private-ai/progress

- name: Would it be made again?
  private_ai.chatbot.gguf_model:
    source: /srv/models/mine
    dest: /srv/gguf/mine.gguf
    provenance: {repository: example/mine, version: 2}
  check_mode: true
  register: would
"""

RETURN = r"""
model:
  description: What the file says of itself, as by M(private_ai.chatbot.gguf_file); null while there is none.
  returned: always
  type: dict
  sample:
    architecture: qwen2
    name: DeepSeek-R1-Distill-Qwen-1.5B
    parameters: 1777088000
    quantization: Q4_K
    context_length: 131072
    tokenizer: gpt2
    pre_tokenizer: deepseek-r1-qwen
    chat_template: true
    size: 1117320768
    sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
manifest:
  description: What the file was made from, and its checksum; null while there is none.
  returned: always
  type: dict
  sample:
    format: 1
    file:
      name: model.gguf
      size: 1117320768
      sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    inputs:
      converter: llama-cpp-python 0.3.36
      name: DeepSeek-R1-Distill-Qwen-1.5B
      outtype: bf16
      quantization: Q4_K_M
      provenance:
        commit: ad9f0ae0864d7fbcd1cd905e3c6c5b069cc8b562
        repository: deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B
      card: 5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9
      files:
        config.json:
          size: 679
          sha256: 6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b
    intermediate: null
manifest_path:
  description: Where the manifest is.
  returned: always
  type: str
  sample: /var/lib/private-ai/converted/r1/model.gguf.manifest.json
needs:
  description: Estimated bytes of disk (beside what is there) and memory that making it takes.
  returned: when O(state=present)
  type: dict
  sample: {disk: 4886000000, memory: 2930000000}
seconds:
  description: How long it took; 0 when nothing was made.
  returned: when O(state=present)
  type: float
  sample: 141.5
supported:
  description: Architectures or pre-tokenizers that the converter knows.
  returned: when it does not know that of the model
  type: list
  elements: str
  sample: [LlamaForCausalLM, Qwen2ForCausalLM]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.private_ai.chatbot.plugins.module_utils.gguf import LLAMA_CPP_PYTHON
from ansible_collections.private_ai.chatbot.plugins.module_utils.gguf_model.making import ModelFile, Refused
from ansible_collections.private_ai.chatbot.plugins.module_utils.gguf_model.plan import (
    OUTTYPES,
    QUANTIZATIONS,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.client import PodmanError
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.common import (
    COMMON_ARGUMENTS,
    TOOL_ARGUMENTS,
    fail,
    make_client,
)

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **COMMON_ARGUMENTS,
    **TOOL_ARGUMENTS,
    "source": {"type": "path"},
    "dest": {"type": "path", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "outtype": {"type": "str", "choices": list(OUTTYPES), "default": "f16"},
    "quantization": {"type": "str", "choices": list(QUANTIZATIONS), "default": "none"},
    "name": {"type": "str"},
    "provenance": {"type": "dict"},
    "keep_intermediate": {"type": "bool", "default": False},
    "image": {"type": "str", "default": f"localhost/private-ai/converter:{LLAMA_CPP_PYTHON}"},
    "memory_limit": {"type": "str"},
    "threads": {"type": "int", "default": 0},
    "timeout": {"type": "int", "default": 7200},
}


def run(module: AnsibleModule, file: ModelFile) -> dict[str, t.Any]:
    """Read, compare, act, report."""
    if module.params["state"] == "absent":
        paths = file.belonging()
        if paths and not module.check_mode:
            file.remove()
        return file.report(bool(paths), {"paths": paths} if paths else {}, {})
    after = file.desired()
    before = file.observe()
    if before != after and module.check_mode:
        file.check(before, after)
    elif before != after:
        before = file.bring_about(after)
    file.save_checksums()
    return {
        **file.report(before != after, before, after),
        "needs": file.needs()._asdict(),
        "seconds": file.seconds,
    }


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS, supports_check_mode=True, required_if=[("state", "present", ["source"])]
    )
    file = ModelFile(module, make_client(module))
    try:
        module.exit_json(**run(module, file))
    except Refused as error:
        module.fail_json(msg=str(error), **({"supported": error.supported} if error.supported else {}))
    except (ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    except PodmanError as error:
        fail(module, error)


if __name__ == "__main__":
    main()
