#!/usr/bin/python
# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep the models of a host apart by their checksums, and remember which one is served."""

from __future__ import annotations

DOCUMENTATION = r"""
module: model_store
short_description: Keep several models, and remember which one is served
version_added: 0.2.0
description:
  - Keeps each model under its own checksum (C(models/<first 12 digits>/model.gguf)), so that what serves is
    never written over.
  - Remembers in C(models/served.json) which model is served, which one was before, and which ones were left
    on purpose and must not come back by themselves. That file is replaced whole or not at all.
  - Starts and stops nothing; M(private_ai.chatbot.podman_service) does.
  - With O(settings), it also notes from what the served model was made, and says with O(state=ready) whether
    all of it is still the same (RV(current)); then the steps that make a model need not look for themselves.
    That note is a cache, its being written is no change.
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
  path:
    description: Directory on the host below which everything is kept. Missing directories are made.
    type: path
    required: true
  state:
    description:
      - V(ready), its directories exist.
      - V(present), the model at O(src) is in the store.
      - V(served), the model O(sha256) is written down as the one that is served, and models that are too many
        are removed. The one before stays for a rollback while O(keep) allows.
      - V(absent), the model O(sha256) is not in the store. The served one is refused.
    type: str
    choices: [ready, present, served, absent]
    default: ready
  src:
    description: The model, a GGUF file on the host. Needed for O(state=present).
    type: path
  manifest:
    description: File that says what the model was made from, kept beside it. Without it, O(src) with
      C(.manifest.json) when that exists.
    type: path
  sha256:
    description:
      - With O(state=present), the SHA-256 that O(src) must have; otherwise the model.
    type: str
  link:
    description:
      - Give O(src) a second name instead of copying it, where the file system can. Only for a file that is
        replaced and never written to, as those of M(private_ai.chatbot.gguf_model) and
        M(private_ai.chatbot.hf_snapshot).
    type: bool
    default: false
  name:
    description: Name under which it is served. Needed for O(state=served).
    type: str
  hold:
    description:
      - With O(state=served), the model before is held back, as after a rollback. It is free again when it is
        served once more.
    type: bool
    default: false
  keep:
    description: How many models stay with O(state=served), the served one included; at least 1.
    type: int
    default: 2
  settings:
    description:
      - With O(state=served), what the model was made with, to be noted; with O(state=ready), what it would be
        made with now. Only checksums of the values are kept.
    type: dict
  inputs:
    description: Files and directories of the owner that the model is made from or judged by.
    type: list
    elements: path
    default: []
  results:
    description: Files and directories that are made on the way and kept. The model and its reports count
      anyway.
    type: list
    elements: path
    default: []
  keep_others:
    description:
      - With O(state=served), V(false) removes everything in C(sources), C(trained) and C(converted) that is
        not one of O(results). Models themselves stay as O(keep) says.
    type: bool
    default: true
  seen:
    description:
      - With O(state=served), RV(seen) of the O(state=ready) that began the run. When an input was changed
        in between, nothing is noted.
    type: dict
  verify:
    description:
      - V(full) reads files again whose size, times and inode are those of an earlier run, and takes no note
        for granted.
    type: str
    choices: [quick, full]
    default: quick
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: Keep a model
  private_ai.chatbot.model_store:
    path: /var/lib/private-ai
    state: present
    src: /var/lib/private-ai/converted/products/model.gguf
    link: true
  register: kept

- name: It is served now
  private_ai.chatbot.model_store:
    path: /var/lib/private-ai
    state: served
    sha256: "{{ kept.model.sha256 }}"
    name: products
    keep: 3
"""

RETURN = r"""
model:
  description: What the model says of itself, as by M(private_ai.chatbot.gguf_file); null without one.
  returned: always
  type: dict
  sample: {architecture: qwen2, name: Demo, size: 1522816, sha256: bc34356bed68}
folder:
  description: Its directory; null without one.
  returned: always
  type: str
  sample: /var/lib/private-ai/models/bc34356bed68
served:
  description: What is served, and what was before.
  returned: always
  type: dict
  contains:
    current: {description: The model that is served; null when none is., type: dict}
    previous: {description: The one before; null when there is none., type: dict}
    held: {description: Checksums of models that are held back., type: list, elements: str}
  sample:
    current: {sha256: bc34356bed68, name: private-ai-demo, size: 1522816}
    previous: null
    held: []
models:
  description: Every model in the store.
  returned: when O(state=ready)
  type: list
  elements: dict
  sample:
    - id: bc34356bed68
      role: current
      name: private-ai-demo
      architecture: qwen2
      quantization: F16
      size: 1522816
      evaluation: 24 of 30 right
      provenance: null
current:
  description: Whether the served model is what O(settings), O(inputs) and O(results) make, as far as noted.
  returned: when O(state=ready) and O(settings) is given
  type: bool
  sample: true
stale:
  description: Names of settings and files that are not as noted.
  returned: when O(state=ready) and O(settings) is given
  type: list
  elements: str
  sample: [quantization, /srv/training/products.jsonl]
seen:
  description: Checksums of the state of O(inputs).
  returned: when O(state=ready) and O(settings) is given
  type: dict
  sample: {/srv/training/products.jsonl: 2c26b46b68ffc68ff99b453c1d304134}
reports:
  description: Names of the reports about the served model.
  returned: when O(state=ready)
  type: list
  elements: str
  sample: [bc34356bed68.json]
removed:
  description: Models that were too many, and paths of what other models were made from.
  returned: always
  type: list
  elements: str
  sample: []
"""

import os
import re
import shutil
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.private_ai.chatbot.plugins.module_utils import recipe
from ansible_collections.private_ai.chatbot.plugins.module_utils.model_files import verified
from ansible_collections.private_ai.chatbot.plugins.module_utils.store import (
    MODEL,
    Store,
    empty_state,
    identity,
    served,
    surplus,
)

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "path": {"type": "path", "required": True},
    "state": {"type": "str", "choices": ["ready", "present", "served", "absent"], "default": "ready"},
    "src": {"type": "path"},
    "manifest": {"type": "path"},
    "sha256": {"type": "str"},
    "link": {"type": "bool", "default": False},
    "name": {"type": "str"},
    "hold": {"type": "bool", "default": False},
    "keep": {"type": "int", "default": 2},
    "settings": {"type": "dict"},
    "inputs": {"type": "list", "elements": "path", "default": []},
    "results": {"type": "list", "elements": "path", "default": []},
    "keep_others": {"type": "bool", "default": True},
    "seen": {"type": "dict"},
    "verify": {"type": "str", "choices": ["quick", "full"], "default": "quick"},
}


class Change(t.NamedTuple):
    """What a state asks for: the diff's two sides, how to get there, and what is told besides."""

    before: dict[str, t.Any]
    after: dict[str, t.Any]
    act: t.Callable[[], None]
    told: dict[str, t.Any]


def directories(store: Store) -> Change:
    """The store's directories."""
    missing = store.missing()
    after = {path: f"{mode:04o}" for path, mode in missing.items()}
    before = {path: "absent" if not os.path.isdir(path) else "another mode" for path in missing}
    return Change(before, after, lambda: store.make(missing), {})


def present(store: Store, params: t.Mapping[str, t.Any]) -> Change:
    """One more model."""
    src = params["src"]
    if store.full and os.path.isfile(src):
        store.sha256(src)
    model = verified(src, store.checksums, params["sha256"])
    beside = f"{src}.manifest.json"
    manifest = params["manifest"] or (beside if os.path.isfile(beside) else None)
    folder = store.folder(model["sha256"])
    dest = os.path.join(folder, MODEL)
    there = os.path.isfile(dest) and os.path.getsize(dest) == model["size"]
    if there:
        there = store.sha256(dest) == model["sha256"] and bool(os.stat(dest).st_mode & 0o004)
    if not there and os.path.isdir(store.root) and not params["link"]:
        free = shutil.disk_usage(store.root).free
        if free < model["size"]:
            raise ValueError(
                f"{store.root} has {free} bytes free, the model {src} needs {model['size']}; make room, or "
                "keep fewer models (keep)"
            )
    entry = {"model": dest, "sha256": model["sha256"]}
    return Change(
        entry if there else {},
        entry,
        lambda: store.place(src, model["sha256"], manifest, params["link"]),
        {"model": model, "folder": folder},
    )


def recorded(store: Store, params: t.Mapping[str, t.Any], check_mode: bool) -> Change:
    """What is served now, and what goes because of it."""
    if params["keep"] < 1:
        raise ValueError(f"keep is {params['keep']}; at least 1 is needed, the model that is served")
    state, folder = store.state(), store.folder(params["sha256"])
    path = os.path.join(folder, MODEL)
    entry = {"sha256": params["sha256"].lower(), "name": params["name"], "provenance": None}
    model = None
    if os.path.isfile(path):
        model = verified(path, store.checksums, params["sha256"])
        entry |= {name: model[name] for name in ("size", "architecture", "quantization")}
        entry["provenance"] = store.provenance(f"{path}.manifest.json")
    elif not check_mode:
        raise ValueError(
            f"the model {params['sha256']} is not in {store.root}; put it there first (state: present)"
        )
    wanted = served(state, entry, params["hold"])
    excess = surplus(store.found(), wanted, params["keep"])
    if wanted["previous"] and identity(wanted["previous"]["sha256"]) in excess:
        wanted = {**wanted, "previous": None}

    others = [] if params["keep_others"] else store.others(params["results"])

    def act() -> None:
        # First the state: a model that it names is never one that is being removed.
        if wanted != state:
            store.write_state(wanted)
        for name in excess:
            store.remove(name)
        store.clear(others)

    told = {"model": model, "folder": folder, "removed": [*excess, *others]}
    return Change(
        {**state, "models": len(store.found()), "others": others},
        {**wanted, "models": len(store.found()) - len(excess), "others": []},
        act,
        told,
    )


def absent(store: Store, params: t.Mapping[str, t.Any]) -> Change:
    """One model less."""
    state, name = store.state(), identity(params["sha256"])
    if state["current"] and identity(state["current"]["sha256"]) == name:
        raise ValueError(f"the model {name} is served; serve another one first")
    there = os.path.isdir(os.path.join(store.root, "models", name))

    def act() -> None:
        if state["previous"] and identity(state["previous"]["sha256"]) == name:
            store.write_state({**state, "previous": None})
        store.remove(name)

    return Change({"model": name} if there else {}, {}, act, {"removed": [name] if there else []})


def now(store: Store, params: t.Mapping[str, t.Any], sha256: str) -> dict[str, t.Any]:
    """The note as it would be written now."""
    inputs = recipe.fingerprints(params["inputs"])
    return recipe.note(
        params["settings"], inputs, recipe.fingerprints([*params["results"], *store.of(sha256)]), sha256
    )


def compared(store: Store, params: t.Mapping[str, t.Any], state: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Whether what is served is what the settings make."""
    wanted = now(store, params, state["current"]["sha256"] if state["current"] else "")
    stale = recipe.differences(None if store.full else recipe.read(store.note_file), wanted)
    return {"current": not stale, "stale": stale, "seen": wanted["inputs"]}


def keep_note(store: Store, params: t.Mapping[str, t.Any]) -> None:
    """Note from what the served model was made, unless that was changed meanwhile."""
    wanted = now(store, params, params["sha256"].lower())
    if (params["seen"] or {}) == wanted["inputs"] and recipe.read(store.note_file) != wanted:
        recipe.write(store.note_file, wanted)


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """Read, compare, act, report."""
    params = module.params
    if params["sha256"] and not re.match(r"^[0-9a-fA-F]{64}$", params["sha256"]):
        raise ValueError(f"sha256 is {params['sha256']!r}; 64 hexadecimal digits are expected")
    store = Store(params["path"], params["verify"] == "full")
    changes = [directories(store)] if params["state"] != "absent" else []
    if params["state"] == "present":
        changes.append(present(store, params))
    elif params["state"] == "served":
        changes.append(recorded(store, params, module.check_mode))
    elif params["state"] == "absent":
        changes.append(absent(store, params))
    result: dict[str, t.Any] = {"changed": False, "model": None, "folder": None, "removed": []}
    diff: dict[str, dict[str, t.Any]] = {"before": {}, "after": {}}
    for change in changes:
        if change.before != change.after:
            result["changed"] = True
            diff["before"].update(change.before)
            diff["after"].update(change.after)
            if not module.check_mode:
                change.act()
        result.update(change.told)
    if not module.check_mode and os.path.isdir(os.path.dirname(store.cache_file)):
        store.checksums.save()
    state = store.state() if os.path.isdir(store.root) else empty_state()
    result["served"] = {name: state[name] for name in ("current", "previous", "held")}
    if params["state"] == "ready":
        result["models"] = store.listing(state)
        served_now = state["current"]["sha256"] if state["current"] else ""
        result["reports"] = [os.path.basename(path) for path in store.reports(served_now)]
        if params["settings"] is not None:
            result.update(compared(store, params, state))
    elif params["state"] == "served" and params["settings"] is not None and not module.check_mode:
        keep_note(store, params)
    result["diff"] = diff
    return result


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_if=[
            ("state", "present", ["src"]),
            ("state", "served", ["sha256", "name"]),
            ("state", "absent", ["sha256"]),
        ],
    )
    try:
        module.exit_json(**run(module))
    except (ValueError, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
