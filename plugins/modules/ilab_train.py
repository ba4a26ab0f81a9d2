#!/usr/bin/python
# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Train a model with InstructLab on one's own data, again only when something it is made from has changed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ilab_train
short_description: Keep a model trained with InstructLab on your own data
version_added: 0.2.0
description:
  - Runs C(ilab model train) in a container without any network, and keeps the trained model in a directory in
    the form of Hugging Face, with safetensors, the base's own tokenizer, and a record (C(training.json)) of
    base, data, settings and versions.
  - The directory is either the old complete model or the new one.
  - The data are checked before the long work, each problem told with its line.
  - A training that was interrupted, even by switching off the host, goes on after its last complete epoch.
    ilab's pipeline for the CPU cannot resume by itself, it writes the weights after each epoch and nothing of
    its optimizer. The learning rate is constant, so what begins anew are the optimizer's running averages and
    the order of the rows; the result is as good, but not bit by bit the same.
  - Trained again are a changed base, changed data and changed settings, and a directory whose files were
    changed. A newer image alone is no reason.
  - ilab's own GGUF files, which are right for LLaMA models only, are not written.
    M(private_ai.chatbot.gguf_model) converts the result.
extends_documentation_fragment:
  - private_ai.chatbot.podman
  - private_ai.chatbot.podman_tool
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.actiongroup_chatbot
attributes:
  check_mode:
    support: full
    details:
      - Checks the data as far as the image allows, and trains nothing.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  dest:
    description:
      - Directory on the host for the trained model, and nothing else. The one that it lies in must exist.
    type: path
    required: true
  state:
    description: Whether the trained model exists. V(absent) removes checkpoints, too.
    type: str
    choices: [present, absent]
    default: present
  base:
    description:
      - Directory on the host with the model to begin with, in the form of Hugging Face, with safetensors and
        a chat template. Needed for O(state=present).
    type: path
  data:
    description:
      - File on the host with one conversation on each line, such as
        C({"messages":[{"role":"user","content":"..."},{"role":"assistant","content":"..."}]}).
      - An answer may begin with its thinking, C(<think>...</think>). Where the base's chat template begins
        every answer with C(<think>), answers without it get an empty one.
    type: path
  taxonomy:
    description:
      - Directory on the host with C(qna.yaml) files of InstructLab's taxonomy, knowledge and skills. They are
        checked by instructlab-schema, and their questions with their answers are what is trained.
      - Give this or O(data).
    type: path
  teacher:
    description:
      - A larger model that writes more rows, of the kind of the skills in O(taxonomy)
        (C(ilab data generate), its pipeline C(simple)). Without it, what the taxonomy holds is trained and
        nothing else.
      - Only skills; questions and answers of knowledge are trained as they stand.
      - What it wrote is kept until the training is over, so an interrupted training does not ask again. Other
        values of O(teacher.model), O(teacher.family) and O(teacher.rows) train anew, another address or key
        does not.
    type: dict
    suboptions:
      url:
        description: Its OpenAI API, with C(/v1). It must have C(/v1/completions).
        type: str
        required: true
      model:
        description: Its name there.
        type: str
        required: true
      family:
        description: How its prompts are written.
        type: str
        choices: [granite, llama, merlinite, mistral, mixtral]
        default: merlinite
      rows:
        description: Rows that it writes for each example of a skill.
        type: int
        default: 10
      api_key:
        description: Its key. It gets into the container by a file that is removed again.
        type: str
      network:
        description: Network of the container that asks it; the training itself has none.
        type: str
        default: host
  name:
    description: Name of the trained model in its record. Without it, the last part of O(dest).
    type: str
  image:
    description: Image with InstructLab's training.
    type: str
    default: localhost/private-ai/trainer:0.26.1
  epochs:
    description: How often all rows are gone through.
    type: int
    default: 4
  effective_batch_size:
    description:
      - Rows for each step. Small models and few rows learn more from small ones, since the learning rate is
        fixed in ilab.
      - The average row, so many times, has to be as long as the longest row at least.
    type: int
    default: 8
  max_batch_len:
    description: Tokens that are computed at a time at most. Decides how much memory is needed.
    type: int
    default: 2048
  max_seq_len:
    description: Rows of so many tokens and more are refused.
    type: int
    default: 512
  device:
    description:
      - V(cpu) uses ilab's full pipeline.
      - V(cuda) uses its accelerated pipeline, on all GPUs of O(devices). It needs an O(image) with CUDA's
        torch, which this collection does not build.
    type: str
    choices: [cpu, cuda]
    default: cpu
  devices:
    description: Devices for the container, by their CDI names, such as V(nvidia.com/gpu=all).
    type: list
    elements: str
    default: []
  dtype:
    description:
      - V(base) writes the trained weights in the type of the base's.
      - V(float32) writes them as they were trained, twice as large as most bases. Nothing is rounded before
        they are quantised.
    type: str
    choices: [base, float32]
    default: base
  threads:
    description: Threads for computing. V(0) means one for each core, but one alone for models of less than 20
      million parameters.
    type: int
    default: 0
  memory:
    description: Most memory for the container, such as V(16g). Without it, no limit.
    type: str
  checkpoint_dir:
    description:
      - Directory on the host for checkpoints, of its own; removed after the training. Without it, a hidden
        one beside O(dest).
    type: path
  keep_checkpoints:
    description: Checkpoints that are kept while training, at least 1. One more is being written.
    type: int
    default: 1
  timeout:
    description: Seconds that the training may take. What was reached until then is gone on from.
    type: int
    default: 604800
  lock_timeout:
    description: Seconds to wait for another run that trains for the same O(dest).
    type: int
    default: 10
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: Train on messages
  private_ai.chatbot.ilab_train:
    base: /var/lib/private-ai/sources/deepseek-ai--DeepSeek-R1-Distill-Qwen-1.5B
    data: /srv/training/products.jsonl
    dest: /var/lib/private-ai/trained/products
    log_file: /var/cache/private-ai/logs/train-products.log
    checksum_cache: /var/lib/private-ai/models/checksums.json

- name: Train on a taxonomy, and on what a larger model writes after its examples
  private_ai.chatbot.ilab_train:
    base: /srv/models/granite
    taxonomy: /srv/taxonomy
    dest: /var/lib/private-ai/trained/granite-own
    teacher:
      url: https://teacher.example.com/v1
      model: mixtral-8x7b-instruct
      family: mixtral
      rows: 30
      api_key: "{{ vault_teacher_key }}"

- name: Train on a taxonomy, on all GPUs
  private_ai.chatbot.ilab_train:
    base: /srv/models/granite
    taxonomy: /srv/taxonomy
    dest: /var/lib/private-ai/trained/granite-own
    device: cuda
    devices: [nvidia.com/gpu=all]
    image: registry.example.com/ai/instructlab-cuda:0.26.1
"""

RETURN = r"""
path:
  description: Directory of the trained model.
  returned: always
  type: str
  sample: /var/lib/private-ai/trained/products
training:
  description: The record of the training, as in C(training.json); null when there is no trained model.
  returned: always
  type: dict
  sample:
    format: 1
    provenance:
      name: products
      base_repository: deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B
      data_rows: 200
      epochs: 4
    outcome:
      epochs: [{epoch: 1, loss: 3.2}, {epoch: 2, loss: 1.1}]
      interruptions: 0
estimate:
  description: Bytes that the training needs at least, of memory, for checkpoints and for the result.
  returned: when it is trained or would be
  type: dict
  sample: {memory: 15000000000, work: 21000000000, result: 3500000000}
drift:
  description: Files of the directory that were not as the record says.
  returned: when O(state=present)
  type: dict
  sample: {model.safetensors: changed}
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.private_ai.chatbot.plugins.module_utils.directories import (
    Lock,
    Places,
    check_places,
    recover,
    remove,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.files import Checksums, sha256_of
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.client import (
    PodmanClient,
    PodmanError,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.common import (
    COMMON_ARGUMENTS,
    TOOL_ARGUMENTS,
    fail,
    make_client,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.tool import drop_left_over, run_tool
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.watch import Progress
from ansible_collections.private_ai.chatbot.plugins.module_utils.training import inputs, model, record, run

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **COMMON_ARGUMENTS,
    **TOOL_ARGUMENTS,
    "dest": {"type": "path", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "base": {"type": "path"},
    "data": {"type": "path"},
    "taxonomy": {"type": "path"},
    "teacher": {
        "type": "dict",
        "options": {
            "url": {"type": "str", "required": True},
            "model": {"type": "str", "required": True},
            "family": {
                "type": "str",
                "choices": ["granite", "llama", "merlinite", "mistral", "mixtral"],
                "default": "merlinite",
            },
            "rows": {"type": "int", "default": 10},
            "api_key": {"type": "str", "no_log": True},
            "network": {"type": "str", "default": "host"},
        },
    },
    "name": {"type": "str"},
    "image": {"type": "str", "default": "localhost/private-ai/trainer:0.26.1"},
    "epochs": {"type": "int", "default": 4},
    "effective_batch_size": {"type": "int", "default": 8},
    "max_batch_len": {"type": "int", "default": 2048},
    "max_seq_len": {"type": "int", "default": 512},
    "device": {"type": "str", "choices": ["cpu", "cuda"], "default": "cpu"},
    "devices": {"type": "list", "elements": "str", "default": []},
    "dtype": {"type": "str", "choices": ["base", "float32"], "default": "base"},
    "threads": {"type": "int", "default": 0},
    "memory": {"type": "str"},
    "checkpoint_dir": {"type": "path"},
    "keep_checkpoints": {"type": "int", "default": 1},
    "timeout": {"type": "int", "default": 604800},
    "lock_timeout": {"type": "int", "default": 10},
}


def check_data(module: AnsibleModule, client: PodmanClient) -> None:
    """In check mode: let the image look at the data, when there is an image; it writes nothing."""
    params = module.params
    if not client.exists("image", params["image"]):
        module.warn(
            f"the image {params['image']} does not exist yet; of the data only their form was checked"
        )
        return
    done, result = run_tool(
        client, run.tool_params(params, "check"), Progress(None, ""), timeout=params["timeout"]
    )
    run.answer(done, result, "checking the data", None, params["timeout"])


def run_absent(module: AnsibleModule, client: PodmanClient, places: Places, work: str) -> dict[str, t.Any]:
    """Remove the model and what is left of trainings for it."""
    params = module.params
    there = [path for path in (places.dest, places.old, places.staging, work) if os.path.lexists(path)]
    if there and not module.check_mode:
        with Lock(places.lock, params["lock_timeout"], lambda _text: None):
            drop_left_over(client, run.container_name(params["dest"]))
            remove(places)
            run.remove_work(work)
    diff = {"before": {"paths": there} if there else {}, "after": {}}
    return {"changed": bool(there), "path": places.dest, "training": None, "diff": diff}


def run_present(module: AnsibleModule, client: PodmanClient, places: Places, work: str) -> dict[str, t.Any]:
    """Read, compare, act, report."""
    params = module.params
    checksums = Checksums(params["checksum_cache"])
    sha256 = checksums.sha256 if params["verify"] == "quick" else sha256_of
    base, wanted = inputs.wanted(params, sha256)
    current = places.current()
    now = record.read(current)
    before = record.inputs_of(now)
    drift = record.drift(current, now, sha256) if now else {}
    stale = before != wanted or bool(drift) or current != places.dest
    left = [] if stale else run.left_over(places, work, wanted)
    result: dict[str, t.Any] = {
        "changed": stale or bool(left),
        "path": places.dest,
        "training": now,
        "drift": drift,
        "diff": {"before": {**before, **({"drift": drift} if drift else {})}, "after": wanted},
    }
    if left:
        result["diff"]["before"]["left by a run that was cut"] = left
    progress = Progress(params["progress_file"], f"training {params['name']}")
    if stale:
        need = model.estimate(
            base, params["max_batch_len"], params["dtype"], params["keep_checkpoints"], params["device"]
        )
        result["estimate"] = need._asdict()
        if module.check_mode:
            check_data(module, client)
            return result
        if not client.exists("image", params["image"]):
            raise ValueError(f"the image {params['image']} does not exist; build it first (podman_image)")
        run.check_room(params, need, places, work)
    if result["changed"] and not module.check_mode:
        with Lock(places.lock, params["lock_timeout"], progress.say):
            # A run that was cut or waited for may have made it.
            recover(places)
            now = record.read(places.dest)
            if not now or record.inputs_of(now) != wanted or record.drift(places.dest, now, sha256_of):
                now = run.train(client, params, wanted, places, work, progress)
            else:
                run.tidy(places, work, wanted)
            result["training"] = now
        if progress.problem:
            module.warn(progress.problem)
        for name, entry in result["training"]["files"].items():
            checksums.remember(os.path.join(places.dest, name), entry["sha256"])
    if not module.check_mode:
        try:
            checksums.save()
        except OSError as error:
            module.warn(f"checksum_cache {params['checksum_cache']!r} cannot be written: {error.strerror}")
    return result


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        mutually_exclusive=[("data", "taxonomy")],
        required_if=[("state", "present", ["base"]), ("state", "present", ["data", "taxonomy"], True)],
    )
    params = module.params
    client = make_client(module)
    try:
        inputs.check_options(params)
        places = Places(params["dest"])
        check_places(places, module.check_mode, record.RECORD, "a trained model")
        work = params["checkpoint_dir"] or os.path.join(
            places.parent, f".{os.path.basename(places.dest)}.training"
        )
        params["name"] = params["name"] or os.path.basename(places.dest)
        act = run_present if params["state"] == "present" else run_absent
        module.exit_json(**act(module, client, places, work))
    except (ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    except PodmanError as error:
        fail(module, error)


if __name__ == "__main__":
    main()
