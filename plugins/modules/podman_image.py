#!/usr/bin/python
# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build one image from a directory, again only when something it is made from has changed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: podman_image
short_description: Keep one locally built image up to date
version_added: 0.1.0
description:
  - Builds an image from a directory on the host or on the control node.
  - A checksum of every file of the directory, the arguments and the base image is kept in the label
    C(io.private-ai.chatbot.inputs); the image is built again only when it differs.
  - The old image keeps its name until the new one is complete. Then it is removed; while a container is still
    made from it, the next build or O(state=absent) removes it.
  - What is left of a build that fails or takes too long is removed with it.
  - Exists beside C(containers.podman.podman_image), because that module rebuilds always or never and shows no
    progress.
extends_documentation_fragment:
  - private_ai.chatbot.podman
  - private_ai.chatbot.podman_making
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.actiongroup_chatbot
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - Not with O(force=true).
options:
  name:
    description: Name of the image with its tag, such as V(localhost/private-ai/ilab:0.26.1).
    type: str
    required: true
  context:
    description:
      - Directory on the host with the Containerfile and what it copies.
      - Either this or O(src) is needed for O(state=present).
    type: path
  containerfile:
    description: Path of the Containerfile. Without it, C(Containerfile) (or C(Dockerfile)) in the directory.
    type: path
  base_image:
    description:
      - Image that the build argument C(BASE) names. When it is another one than last time, the image is built
        again.
    type: str
  build_args:
    description: Arguments of the build. Not for secrets.
    type: dict
  volumes:
    description: Directories of the host that the build may use, as C(source:target:options).
    type: list
    elements: str
  title:
    description: What is being built, in the words of the progress lines.
    type: str
  timeout:
    description: Seconds that the build may take, at least 1.
    type: int
    default: 3600
  force:
    description: Build even if nothing has changed.
    type: bool
    default: false
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: Build the gateway
  private_ai.chatbot.podman_image:
    name: localhost/private-ai/gateway:0.1.0
    src: images/gateway
    base_image: localhost/private-ai/base:bookworm
    log_file: /var/cache/private-ai/logs/gateway.log

- name: Build from a directory of the host
  private_ai.chatbot.podman_image:
    name: localhost/private-ai/tool:1
    context: /srv/tool

- name: Remove it
  private_ai.chatbot.podman_image:
    name: localhost/private-ai/gateway:0.1.0
    state: absent
"""

RETURN = r"""
image:
  description: The image as it is after the module; null when there is none.
  returned: always
  type: dict
  contains:
    name:
      description: Its name.
      type: str
    id:
      description: Podman's identity of it, its first 12 digits.
      type: str
    size:
      description: Its size in bytes.
      type: int
    inputs:
      description: Checksum of what it was made from.
      type: str
  sample:
    name: localhost/private-ai/gateway:0.1.0
    id: 92cc224d9d52
    size: 115000000
    inputs: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
seconds:
  description: How long the build took; 0 when there was none.
  returned: when O(state=present)
  type: float
  sample: 41.5
"""

import os
import re
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.private_ai.chatbot.plugins.module_utils.files import sha256_of
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.build import (
    INPUTS_LABEL,
    build_argv,
    check_timeout,
    drop_former,
    former_images,
    host_ca_bundle,
    take_step,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.client import PodmanClient
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.common import (
    MAKING_ARGUMENTS,
    finish,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.context import (
    Entry,
    at_hand,
    awaited,
    digest,
    file_sha256,
    given,
    scan,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.watch import Progress

#: Without a tag podman would look for :latest and the image would be named otherwise than it was asked for.
_NAME = re.compile(r"^[a-z0-9][a-z0-9._/:-]*:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **MAKING_ARGUMENTS,
    "context": {"type": "path"},
    "containerfile": {"type": "path"},
    "base_image": {"type": "str"},
    "build_args": {"type": "dict"},
    "volumes": {"type": "list", "elements": "str"},
    "title": {"type": "str"},
    "timeout": {"type": "int", "default": 3600},
    "force": {"type": "bool", "default": False},
}


def observe(client: PodmanClient, name: str) -> dict[str, t.Any] | None:
    """Return what is known of the image, None when it does not exist."""
    found = client.inspect("image", name)
    if found is None:
        return None
    labels = found.get("Labels") or {}
    return {
        "name": name,
        "id": found["Id"][:12],
        "size": found.get("Size", 0),
        "inputs": labels.get(INPUTS_LABEL, ""),
    }


def containerfile_of(params: dict[str, t.Any]) -> str | None:
    """Return the path of the Containerfile that podman would take, None when there is none."""
    names = [params["containerfile"]] if params["containerfile"] else ["Containerfile", "Dockerfile"]
    paths = [os.path.join(params["context"], name) for name in names if not os.path.isabs(name)]
    return next((path for path in [*names, *paths] if os.path.isabs(path) and os.path.isfile(path)), None)


def containerfile_sha256(params: dict[str, t.Any], entries: list[Entry] | None) -> str:
    """Return the checksum of the Containerfile; empty when there is none."""
    if entries is None:
        containerfile = containerfile_of(params)
        return sha256_of(containerfile) if containerfile else ""
    names = [params["containerfile"]] if params["containerfile"] else ["Containerfile", "Dockerfile"]
    return next(filter(None, (file_sha256(entries, name) for name in names)), "")


def wanted_inputs(
    client: PodmanClient, params: dict[str, t.Any], entries: list[Entry] | None, check_mode: bool
) -> tuple[str, list[str]]:
    """Return the checksum of what the image would be made from, and warnings; ValueError with the remedy.

    :param entries: what is on the control node; None when the directory is on this host.
    """
    values: dict[str, t.Any] = {"build_args": params["build_args"] or {}}
    context = params["context"] if entries is None else params["src"]
    missing = []
    if entries is None and not os.path.isdir(context):
        missing.append(f"context {context!r} is not a directory")
    else:
        # The Containerfile may lie outside the directory.
        values["containerfile"] = containerfile_sha256(params, entries)
        if not values["containerfile"]:
            missing.append(f"there is no {params['containerfile'] or 'Containerfile'!r} in {context!r}")
    if params["base_image"]:
        base = client.inspect("image", params["base_image"])
        if base is None:
            missing.append(f"the base image {params['base_image']} does not exist")
        else:
            values["base"] = base["Id"]
    if missing:
        if not check_mode:
            raise ValueError("; ".join(missing) + "; make it first")
        return "", [f"{what} yet; it has to be made before this image" for what in missing]
    return digest(scan(context) if entries is None else entries, values), []


def build(module: AnsibleModule, client: PodmanClient, context: str, inputs: str) -> float:
    """Build and return the seconds it took; PodmanError with the failing step and the last lines."""
    params = dict(module.params, context=context)
    progress = Progress(params["progress_file"], f"building {params['title'] or params['name']}")
    arguments = dict(
        params, containerfile=containerfile_of(params), build_args=dict(params["build_args"] or {})
    )
    if params["base_image"]:
        arguments["build_args"]["BASE"] = params["base_image"]
    argv = client.argv(build_argv(arguments, inputs, host_ca_bundle(params["ca_bundle"])))
    started = time.monotonic()
    progress.say("starting")
    try:
        take_step(argv, f"building {params['name']}", params, progress)
        progress.say("done")
    finally:
        if progress.problem:
            module.warn(progress.problem)
    return round(time.monotonic() - started, 1)


def run(module: AnsibleModule, client: PodmanClient) -> dict[str, t.Any]:
    """Read, compare, act, report."""
    params, name = module.params, module.params["name"]
    if not _NAME.match(name):
        raise ValueError(
            f"name is {name!r}; write a name with its tag in small letters, such as localhost/gateway:0.1.0"
        )
    check_timeout(params)
    now = observe(client, name)
    before = {"inputs": now["inputs"]} if now else {}
    if params["state"] == "absent":
        former = former_images(client, name)
        diff = {"before": {**before, **({"former": former} if former else {})}, "after": {}}
        if now and not module.check_mode:
            client.run(["image", "rm", name])
            now = None
        if former and not module.check_mode:
            drop_former(client, name)
        return {"changed": bool(diff["before"]), "image": now, "diff": diff}
    entries = given(params)
    inputs, warnings = wanted_inputs(client, params, entries, module.check_mode)
    for warning in warnings:
        module.warn(warning)
    changed = now is None or now["inputs"] != inputs or params["force"]
    seconds = 0.0
    if changed and not module.check_mode:
        if awaited(params):
            return {"changed": False, "context_wanted": True}
        with at_hand(params, entries, params["context"], module.tmpdir) as context:
            seconds = build(module, client, context, inputs)
        now = observe(client, name)
        drop_former(client, name)
    return {
        "changed": changed,
        "image": now,
        "seconds": seconds,
        "diff": {"before": before, "after": {"inputs": inputs} if inputs else {}},
    }


def main() -> None:
    """Entry point of the module."""
    finish(
        AnsibleModule(
            argument_spec=ARGUMENTS,
            supports_check_mode=True,
            required_if=[("state", "present", ["context", "src"], True)],
            mutually_exclusive=[("context", "src")],
        ),
        run,
    )


if __name__ == "__main__":
    main()
