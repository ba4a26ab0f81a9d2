#!/usr/bin/python
# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Get the image that the others are built on: from a registry, or from this distribution's packages."""

from __future__ import annotations

DOCUMENTATION = r"""
module: podman_base_image
short_description: Keep the base image that other images are built on
version_added: 0.1.0
description:
  - Takes a Debian or Ubuntu image from a registry and adds Python, or, where no registry answers, makes one
    from the packages of this Debian or Ubuntu host's own distribution with C(mmdebstrap).
  - An image that this module made from either source stays as it is while that source is unchanged.
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
options:
  name:
    description: Name of the image without a tag.
    type: str
    required: true
  tag:
    description: Tag of the image.
    type: str
    default: latest
  state:
    description: Whether the image exists. V(absent) removes every tag of O(name).
    type: str
    choices: [present, absent]
    default: present
  source:
    description:
      - V(registry), only from a registry.
      - V(bootstrap), only from the packages of this distribution.
      - V(auto), from the registry when it (or a mirror of it in C(registries.conf)) answers and the image can
        be pulled, otherwise from the packages. An image that is there already stays as it is, with a warning,
        where neither is possible.
    type: str
    choices: [auto, registry, bootstrap]
    default: auto
  image:
    description: Image in the registry, one with C(apt). Empty means that there is none.
    type: str
    default: docker.io/library/debian:bookworm-slim
  directory:
    description:
      - Directory on the host with C(bootstrap-base.sh), which makes the root file system, and a
        C(Containerfile), which adds Python to the image of the registry.
      - Either this or O(src) is needed for O(state=present).
    type: path
  suite:
    description: Codename of the distribution's release. Without it, the host's own.
    type: str
  mirror:
    description: Archive to take the packages from. Without it, the host's own sources.
    type: str
  keyring:
    description:
      - Keys that O(mirror) signs with, where they are not those of this host's distribution. They go into the
        image at the same path.
    type: path
  timeout:
    description: Seconds that each step of making the image may take, at least 1.
    type: int
    default: 1800
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: Get the base image
  private_ai.chatbot.podman_base_image:
    name: localhost/private-ai/base
    src: images/base
"""

RETURN = r"""
image:
  description: Name and tag of the image, to build on.
  returned: always
  type: str
  sample: localhost/private-ai/base:latest
id:
  description: Podman's identity of it; null when there is none.
  returned: always
  type: str
  sample: 690d6fb7ff27
source:
  description: Where it came from or, in check mode, would come from; null when nothing is made.
  returned: always
  type: str
  sample: bootstrap
registry:
  description: Why the registry was not used.
  returned: when the image is made from packages, or cannot be made
  type: str
  sample: "https://registry-1.docker.io/v2/: timed out"
"""

import os
import tempfile
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.base_image import (
    REMEDY,
    can_bootstrap,
    file_digest,
    host_release,
    hosts_of,
    inputs_digest,
    registry_answers,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.build import (
    INPUTS_LABEL,
    NAME_LABEL,
    build_argv,
    check_timeout,
    drop_former,
    host_ca_bundle,
    listed,
    take_step,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.client import (
    MANAGED_LABEL,
    MANAGED_VALUE,
    PodmanClient,
    PodmanError,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.common import (
    MAKING_ARGUMENTS,
    finish,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.context import (
    at_hand,
    awaited,
    file_sha256,
    given,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.watch import Progress

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **MAKING_ARGUMENTS,
    "tag": {"type": "str", "default": "latest"},
    "source": {"type": "str", "choices": ["auto", "registry", "bootstrap"], "default": "auto"},
    "image": {"type": "str", "default": "docker.io/library/debian:bookworm-slim"},
    "directory": {"type": "path"},
    "suite": {"type": "str"},
    "mirror": {"type": "str"},
    "keyring": {"type": "path"},
    "timeout": {"type": "int", "default": 1800},
}


class BaseImage:
    """One base image: what it would be made from, and how."""

    def __init__(self, module: AnsibleModule, client: PodmanClient) -> None:
        self.module = module
        self.params: dict[str, t.Any] = module.params
        self.client = client
        self.full_name = f"{self.params['name']}:{self.params['tag']}"
        self.progress = Progress(self.params["progress_file"], "getting the base image")
        self.release = host_release()
        self.entries = given(self.params)

    def _sha256(self, name: str) -> str:
        if self.entries is not None:
            return file_sha256(self.entries, name)
        return file_digest(os.path.join(self.params["directory"], name))

    def inputs(self) -> dict[str, str]:
        """Return the checksum of what the image would be made from, for each allowed source."""
        params = self.params
        suite = params["suite"] or self.release.get("VERSION_CODENAME", "")
        sources = {
            "registry": inputs_digest("registry", params["image"], self._sha256("Containerfile")),
            "bootstrap": inputs_digest(
                "bootstrap",
                self._sha256("bootstrap-base.sh"),
                suite,
                params["mirror"] or "",
                *filter(None, [params["keyring"]]),
            ),
        }
        return {name: digest for name, digest in sources.items() if params["source"] in ("auto", name)}

    def choose(self) -> tuple[str, str]:
        """Return the source to use and why not the registry; PodmanError when none can be used."""
        wanted, image = self.params["source"], self.params["image"]
        why = "none was asked for"
        if wanted != "bootstrap":
            why = self._unreachable(image) if image else "no image of a registry is named"
            if not why:
                return "registry", ""
            if wanted == "registry":
                raise PodmanError(f"the base image {image!r} cannot be pulled: {why}. {REMEDY}")
        if not can_bootstrap(self.release):
            raise PodmanError(
                f"no registry can be used ({why}), and on {self.release.get('PRETTY_NAME', 'this system')} "
                f"the base image cannot be made from packages. {REMEDY}"
            )
        return "bootstrap", why

    def _unreachable(self, image: str) -> str:
        hosts = hosts_of(image, self.client.run_json(["info", "--format={{json .Registries}}"]) or {})
        reasons = []
        for host in hosts:
            why = registry_answers(host)
            if not why:
                return ""
            reasons.append(why)
        return "; ".join(reasons) or f"registries.conf blocks {image}"

    def make(self, source: str, inputs: dict[str, str]) -> tuple[str, str]:
        """Make the image, named when it is complete; return its source and why not the registry."""
        with at_hand(self.params, self.entries, self.params["directory"], self.module.tmpdir) as directory:
            return self._make(source, inputs, directory)

    def _make(self, source: str, inputs: dict[str, str], directory: str) -> tuple[str, str]:
        why = ""
        if source == "registry":
            try:
                self._pull(inputs[source], directory)
            except PodmanError as error:
                if self.params["source"] != "auto" or not can_bootstrap(self.release):
                    raise
                self.progress.say("the registry's image cannot be used")
                source, why = "bootstrap", error.message
        if source == "bootstrap":
            self._bootstrap(inputs[source], directory)
        self.progress.say("done")
        drop_former(self.client, self.full_name)
        return source, why

    def _pull(self, inputs: str, directory: str) -> None:
        image = self.params["image"]
        self.progress.say(f"pulling {image}")
        bundle = host_ca_bundle(self.params["ca_bundle"]) if self.params["ca_bundle"] else None
        environ = {"SSL_CERT_FILE": bundle} if bundle else {}
        argv = self.client.argv(["pull", "--quiet", image])
        take_step(argv, f"pulling {image}", self.params, self.progress, environ)
        arguments = {
            "name": self.full_name,
            "context": directory,
            "ulimits": self.params["ulimits"],
            "build_args": {"BASE": image},
        }
        # No bundle is mounted: installing ca-certificates puts a new one there, which fails on a mount.
        # The packages are signed, and the images of the distributions fetch them without TLS.
        argv = self.client.argv(build_argv(arguments, inputs, None))
        take_step(argv, f"adding Python to {image}", self.params, self.progress)

    def _bootstrap(self, inputs: str, directory: str) -> None:
        self.progress.say("making it from the packages of this distribution")
        script = os.path.join(directory, "bootstrap-base.sh")
        if not os.path.isfile(script):
            where = self.params["directory"] or self.params["src"]
            raise ValueError(f"there is no bootstrap-base.sh in {where}; name a directory that holds it")
        with tempfile.TemporaryDirectory(dir=self.module.tmpdir) as work:
            archive = os.path.join(work, "base.tar")
            argv = ["bash", script, "--output", archive]
            if self.params["suite"]:
                argv += ["--suite", self.params["suite"]]
            if self.params["mirror"]:
                argv += ["--mirror", self.params["mirror"]]
            if self.params["keyring"]:
                argv += ["--keyring", self.params["keyring"]]
            take_step(argv, "making the base image from packages", self.params, self.progress)
            self.progress.say("importing it")
            labels = {INPUTS_LABEL: inputs, NAME_LABEL: self.full_name, MANAGED_LABEL: MANAGED_VALUE}
            changes = [f"--change=LABEL {name}={value}" for name, value in labels.items()]
            self.client.run(
                ["import", "--quiet", *changes, archive, self.full_name], timeout=self.params["timeout"]
            )


def remove(module: AnsibleModule, client: PodmanClient, result: dict[str, t.Any]) -> dict[str, t.Any]:
    """Remove every tag of the name."""
    names = listed(client, ["images", "--format={{.Repository}}:{{.Tag}}"])
    ours = sorted({name for name in names if name.rsplit(":", 1)[0] == module.params["name"]})
    if ours and not module.check_mode:
        client.run(["image", "rm", *ours])
        result["id"] = None
    if not module.check_mode:
        drop_former(client, result["image"])
    return {
        **result,
        "changed": bool(ours),
        "diff": {"before": {"images": ours} if ours else {}, "after": {}},
    }


def run(module: AnsibleModule, client: PodmanClient) -> dict[str, t.Any]:
    """Read, compare, act, report."""
    params = module.params
    check_timeout(params)
    base = BaseImage(module, client)
    found = client.inspect("image", base.full_name)
    label = ((found or {}).get("Labels") or {}).get(INPUTS_LABEL, "")
    result: dict[str, t.Any] = {
        "image": base.full_name,
        "source": None,
        "id": found["Id"][:12] if found else None,
    }
    if params["state"] == "absent":
        return remove(module, client, result)
    before = {"inputs": label} if found else {}
    inputs = base.inputs()
    if found and label in inputs.values():
        return {**result, "changed": False, "diff": {"before": before, "after": before}}
    if awaited(params) and not module.check_mode:
        return {"changed": False, "context_wanted": True}
    try:
        source, why = base.choose()
    except PodmanError as error:
        if not found or params["source"] != "auto":
            raise
        # Made on another host and loaded here, as the remedy says.
        module.warn(f"{base.full_name} stays as it is: {error.message}")
        return {
            **result,
            "changed": False,
            "registry": error.message,
            "diff": {"before": before, "after": before},
        }
    if not module.check_mode:
        try:
            source, failed = base.make(source, inputs)
        finally:
            if base.progress.problem:
                module.warn(base.progress.problem)
        why = failed or why
        made = client.inspect("image", base.full_name)
        result["id"] = made["Id"][:12] if made else None
    result["source"] = source
    if why:
        result["registry"] = why
    return {**result, "changed": True, "diff": {"before": before, "after": {"inputs": inputs[source]}}}


def main() -> None:
    """Entry point of the module."""
    finish(
        AnsibleModule(
            argument_spec=ARGUMENTS,
            supports_check_mode=True,
            required_if=[("state", "present", ["directory", "src"], True)],
            mutually_exclusive=[("directory", "src")],
        ),
        run,
    )


if __name__ == "__main__":
    main()
