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
  ulimits:
    description: Limits by name, such as V(nofile) with the value V(1024:1024).
    type: dict
    default: {}
  checkpoint_dir:
    description:
      - Directory on the host for checkpoints, of its own; removed after the training. Without it, a hidden
        one beside O(dest).
    type: path
  keep_checkpoints:
    description: Checkpoints that are kept while training, at least 1. One more is being written.
    type: int
    default: 1
  verify:
    description:
      - V(quick) reads large files again only when their size, times or inode differ from what
        O(checksum_cache) remembers.
      - V(full) reads every file.
    type: str
    choices: [quick, full]
    default: quick
  checksum_cache:
    description:
      - File on the host that remembers checksums of large files. Its directory must exist. Without it, every
        file is read each time. It is not written in check mode.
    type: path
  progress_file:
    description: File to which a plain line is appended for each step. A missing directory is made.
    type: path
  log_file:
    description: File for the whole output of the training. A missing directory is made.
    type: path
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
    fail,
    make_client,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.tool import drop_left_over, run_tool
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.watch import Progress
from ansible_collections.private_ai.chatbot.plugins.module_utils.training import data, model, record, run

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **COMMON_ARGUMENTS,
    "dest": {"type": "path", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "base": {"type": "path"},
    "data": {"type": "path"},
    "taxonomy": {"type": "path"},
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
    "ulimits": {"type": "dict", "default": {}},
    "checkpoint_dir": {"type": "path"},
    "keep_checkpoints": {"type": "int", "default": 1},
    "verify": {"type": "str", "choices": ["quick", "full"], "default": "quick"},
    "checksum_cache": {"type": "path"},
    "progress_file": {"type": "path"},
    "log_file": {"type": "path"},
    "timeout": {"type": "int", "default": 604800},
    "lock_timeout": {"type": "int", "default": 10},
}

#: Least values of the numbers.
LEAST = {
    "epochs": 1,
    "effective_batch_size": 1,
    "max_batch_len": 20,
    "max_seq_len": 21,
    "threads": 0,
    "keep_checkpoints": 1,
    "timeout": 1,
    "lock_timeout": 0,
}


def check_options(params: dict[str, t.Any]) -> None:
    """Raise ValueError for values that make no sense."""
    for name, least in LEAST.items():
        if params[name] < least:
            raise ValueError(f"{name} is {params[name]}; at least {least} is needed")
    if params["device"] == "cuda" and not params["devices"]:
        raise ValueError("device is cuda and devices is empty; name the GPUs, such as nvidia.com/gpu=all")


def wanted_inputs(
    params: dict[str, t.Any], sha256: t.Callable[[str], str]
) -> tuple[model.Base, dict[str, t.Any]]:
    """Return what is known of the base and the inputs of the training; ValueError with what is wrong."""
    base = model.read(params["base"])
    files = {name: os.path.join(params["base"], name) for name in base.files}
    if os.geteuid() == 0:
        closed = [path for path in files.values() if not os.stat(path).st_mode & 0o004]
        closed += [path for path in [params["data"]] if path and not os.stat(path).st_mode & 0o004]
        if closed:
            raise ValueError(
                f"{', '.join(closed)} cannot be read by the user inside the container; let all read it "
                "(chmod a+r)"
            )
    found = data.digest(params, sha256)
    if params["data"]:
        data.check_rows(params["data"])
    return base, record.wanted(params, {name: sha256(path) for name, path in files.items()}, found)


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
    base, inputs = wanted_inputs(params, sha256)
    current = places.current()
    now = record.read(current)
    before = record.inputs_of(now)
    drift = record.drift(current, now, sha256) if now else {}
    changed = before != inputs or bool(drift) or current != places.dest
    result: dict[str, t.Any] = {
        "changed": changed,
        "path": places.dest,
        "training": now,
        "drift": drift,
        "diff": {"before": {**before, **({"drift": drift} if drift else {})}, "after": inputs},
    }
    if changed:
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
        progress = Progress(params["progress_file"], f"training {params['name']}")
        with Lock(places.lock, params["lock_timeout"], progress.say):
            # A run that was cut or waited for may have made it.
            recover(places)
            now = record.read(places.dest)
            if not now or record.inputs_of(now) != inputs or record.drift(places.dest, now, sha256_of):
                now = run.train(client, params, inputs, places, work, progress)
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
        check_options(params)
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
