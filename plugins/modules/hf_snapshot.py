#!/usr/bin/python
# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep a directory that is one complete snapshot of a model repository on a Hub."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hf_snapshot
short_description: Keep a checked, complete snapshot of a model repository of Hugging Face
version_added: 0.2.0
description:
  - Downloads the files of one commit of a model repository from Hugging Face or a mirror of it, and keeps
    them in a directory of their own.
  - The directory is either the old complete snapshot or the new one. Both need room for a moment.
  - Every file is checked against the size and the checksum that the Hub lists (SHA-256, or Git's own SHA-1
    for small files), and against O(expected).
  - A download that was cut, even by switching off the host, goes on where it stopped, and files that are
    already there under any name are not fetched again. What has come so far is kept in a hidden directory
    beside O(dest).
  - What the snapshot is stands in C(.snapshot.json) in it. While that names the wanted commit, the Hub is not
    asked.
  - Files that were changed, removed or added in the directory are repaired.
extends_documentation_fragment:
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.actiongroup_chatbot
attributes:
  check_mode:
    support: full
    details:
      - Asks the Hub for the list of files, and returns what would be fetched.
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - A branch or tag may have moved in between. Give a commit for what must stay the same.
requirements:
  - Python 3.10 or newer
  - huggingface_hub 1.0 or newer
options:
  repository:
    description: Owner and name, such as V(deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B). Needed for
      O(state=present).
    type: str
  revision:
    description:
      - A commit (40 hexadecimal digits; recommended), branch or tag.
      - A branch or tag is resolved each time; the commit that it is appears in the result and the diff.
    type: str
    default: main
  dest:
    description:
      - Directory on the host that holds the snapshot and nothing else. The one that it lies in must exist.
      - One that holds anything else is refused.
    type: path
    required: true
  state:
    description: Whether the snapshot exists. With V(absent), what a cut download left goes as well.
    type: str
    choices: [present, absent]
    default: present
  allow_patterns:
    description:
      - Patterns of the files to take, such as V(*.safetensors). Without it, all. A pattern that ends in V(/)
        takes all of a directory.
    type: list
    elements: str
  ignore_patterns:
    description: Patterns of the files to leave out, in the same form.
    type: list
    elements: str
  unsafe_formats:
    description:
      - Also take files in formats from which a loader may run code, such as pickles (C(*.bin), C(*.pt)) and
        programs (C(*.py)).
      - Without it they are left out, and a repository that has its parameters in no other format is refused.
    type: bool
    default: false
  expected:
    description: SHA-256 by file name. A file that has another one is refused, before anything is fetched when
      the Hub lists it.
    type: dict
  token:
    description:
      - Token of an account that may read a gated or private repository. It is sent to O(endpoint), never to
        the host to which that redirects, and never written or shown.
      - The host's own token, as C(hf auth login) leaves it, is not used.
    type: str
  token_file:
    description: File on the host with the token.
    type: path
  endpoint:
    description:
      - Address of the Hub or a mirror. Without it, the environment variable E(HF_ENDPOINT), otherwise
        V(https://huggingface.co).
    type: str
  cache_dir:
    description:
      - A cache of huggingface_hub on the host, such as V(~/.cache/huggingface/hub). Files that it holds are
        copied from there, checked like all others. It is never written.
    type: path
  offline:
    description:
      - Ask nobody. What is at O(dest) is kept when it is of O(revision), or comes from O(cache_dir).
    type: bool
    default: false
  proxy:
    description:
      - Address of an HTTP proxy. Without it, the environment's (E(HTTPS_PROXY)). A password in it is not
        shown.
    type: str
  ca_bundle:
    description: PEM bundle of certificates to trust. Without it, the host's own.
    type: path
  max_workers:
    description: How many files are fetched at a time, 1 to 16.
    type: int
    default: 4
  timeout:
    description: Seconds of silence after which a connection is given up and the download goes on with a new
      one.
    type: int
    default: 60
  retries:
    description: How often in a row a request is tried again that fails for a reason that may pass.
    type: int
    default: 5
  lock_timeout:
    description: Seconds to wait for another run that works on the same O(dest); 0 fails at once.
    type: int
    default: 3600
  verify:
    description:
      - V(quick) takes a file as unchanged while its size and time are those recorded; V(full) reads every
        file.
    type: str
    choices: [quick, full]
    default: quick
  checksum_cache:
    description:
      - File on the host that remembers checksums, so that the tasks after this one need not read large files
        again. Its directory must exist. It is not written in check mode.
    type: path
  progress_file:
    description: File to which a plain line is appended now and then while files come. A missing directory is
      made.
    type: path
notes:
  - Where the file system cannot exchange two directories in one step (C(renameat2) with C(RENAME_EXCHANGE),
    Linux 3.15), the destination is missing for a moment; a run that is ended just then is put right by the
    next one.
  - Files get mode 0644 and directories 0755, since containers read them as another user.
  - Downloads are plain HTTP; Hugging Face's Xet protocol, telemetry and look-ups of newer versions are off.
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: Fetch a model, one commit of it
  private_ai.chatbot.hf_snapshot:
    repository: deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B
    revision: ad9f0ae0864d7fbcd1cd905e3c6c5b069cc8b562
    dest: /var/lib/private-ai/sources/deepseek-ai--DeepSeek-R1-Distill-Qwen-1.5B
    expected:
      model.safetensors: 58858233513d76b8703e72eed6ce16807b523328188e13329257fb9594462945

- name: What would be fetched, and how much
  private_ai.chatbot.hf_snapshot:
    repository: deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B
    dest: /var/lib/private-ai/sources/deepseek-ai--DeepSeek-R1-Distill-Qwen-1.5B
  check_mode: true
  register: plan

- name: A gated model from a mirror, through a proxy
  private_ai.chatbot.hf_snapshot:
    repository: acme/private-model
    dest: /srv/models/private-model
    endpoint: https://hub.example.com
    token_file: /etc/private-ai/hub-token
    proxy: http://proxy.example.com:3128
    ca_bundle: /etc/ssl/certs/example.pem

- name: Without a network, from a cache that was brought here
  private_ai.chatbot.hf_snapshot:
    repository: deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B
    dest: /srv/models/deepseek
    cache_dir: /media/usb/hub
    offline: true
"""

RETURN = r"""
snapshot:
  description: The snapshot; null when O(state=absent). In check mode the one that there would be.
  returned: always
  type: dict
  contains:
    repository: {description: Owner and name., type: str}
    revision: {description: The revision that was asked for., type: str}
    commit: {description: The commit that it is., type: str}
    path: {description: The directory., type: str}
    size: {description: Size of all files in bytes., type: int}
    left_out: {description: Files that were left out for their format., type: list, elements: str}
    files:
      description: Every file.
      type: list
      elements: dict
      contains:
        name: {description: Path below the directory., type: str}
        size: {description: Size in bytes., type: int}
        sha256:
          description: SHA-256 in hexadecimal; null in check mode for a file of which the Hub does not list
            it.
          type: str
  sample:
    repository: deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B
    revision: main
    commit: ad9f0ae0864d7fbcd1cd905e3c6c5b069cc8b562
    path: /srv/models/deepseek
    size: 3554214621
    left_out: []
    files:
      - name: model.safetensors
        size: 3554214621
        sha256: 58858233513d76b8703e72eed6ce16807b523328188e13329257fb9594462945
download:
  description: What was, or in check mode would be, fetched from the Hub.
  returned: always
  type: dict
  contains:
    files: {description: Names of the files., type: list, elements: str}
    bytes: {description: Bytes that were still missing of them., type: int}
  sample:
    files: [model.safetensors]
    bytes: 3554214621
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.private_ai.chatbot.plugins.module_utils.directories import (
    Lock,
    Places,
    check_places,
    recover,
    remove,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.files import Checksums, sha256_of
from ansible_collections.private_ai.chatbot.plugins.module_utils.hub.client import (
    LibraryMissing,
    Settings,
    endpoint_of,
    is_unprotected,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.hub.errors import (
    HubError,
    without_secrets,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.hub.options import (
    check_options,
    read_token,
    secrets_of,
    shown,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.hub.snapshot import (
    MANIFEST,
    Selection,
    diff_of,
    observe,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.hub.update import Source, Update
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.watch import Progress

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "repository": {"type": "str"},
    "revision": {"type": "str", "default": "main"},
    "dest": {"type": "path", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "allow_patterns": {"type": "list", "elements": "str"},
    "ignore_patterns": {"type": "list", "elements": "str"},
    "unsafe_formats": {"type": "bool", "default": False},
    "expected": {"type": "dict"},
    "token": {"type": "str", "no_log": True},
    "token_file": {"type": "path", "no_log": False},
    "endpoint": {"type": "str"},
    "cache_dir": {"type": "path"},
    "offline": {"type": "bool", "default": False},
    "proxy": {"type": "str"},
    "ca_bundle": {"type": "path"},
    "max_workers": {"type": "int", "default": 4},
    "timeout": {"type": "int", "default": 60},
    "retries": {"type": "int", "default": 5},
    "lock_timeout": {"type": "int", "default": 3600},
    "verify": {"type": "str", "choices": ["quick", "full"], "default": "quick"},
    "checksum_cache": {"type": "path"},
    "progress_file": {"type": "path"},
}


def absent(module: AnsibleModule, places: Places) -> dict[str, t.Any]:
    """Remove the snapshot and what a cut download left."""
    found = observe(places.current(), False, lambda path: "")
    there = [path for path in (places.dest, places.old, places.staging) if os.path.lexists(path)]
    if there and not module.check_mode:
        remove(places)
    before = diff_of(found, None)["before"] or ({"path": there[0]} if there else {})
    return {
        "changed": bool(there),
        "snapshot": None,
        "download": {"files": [], "bytes": 0},
        "diff": {"before": before, "after": {}},
    }


def present(module: AnsibleModule, places: Places, source: Source, progress: Progress) -> dict[str, t.Any]:
    """Observe, compare, act, report."""
    params = module.params
    checksums = Checksums(params["checksum_cache"])
    full = params["verify"] == "full"
    found = observe(places.current(), full, sha256_of if full else checksums.sha256)
    update = Update(places, found, source, progress)
    snapshot = update.wanted
    result: dict[str, t.Any] = {"changed": update.changed, "diff": diff_of(found, snapshot)}
    if update.changed:
        if snapshot.left_out:
            module.warn(
                f"{len(snapshot.left_out)} files were left out for their format: "
                f"{', '.join(snapshot.left_out[:5])} (unsafe_formats=true takes them)"
            )
        update.must_fit(module.check_mode)
        if module.check_mode:
            update.check_access()
        else:
            snapshot = update.act(params["max_workers"])
    elif not module.check_mode:
        update.tidy()
    if not module.check_mode:
        for name, digest in snapshot.sha256.items() if update.changed else ():
            checksums.remember(os.path.join(places.dest, name), digest)
        try:
            checksums.save()
        except OSError as error:
            module.warn(f"checksum_cache {params['checksum_cache']!r} cannot be written: {error.strerror}")
    result["snapshot"] = shown(snapshot, places.dest)
    result["download"] = {"files": sorted(file.name for file in update.fetch), "bytes": update.bytes}
    return result


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """Do what the options say, one run at a time for each destination."""
    params = module.params
    places = Places(params["dest"])
    check_places(places, module.check_mode, MANIFEST, "a snapshot")
    progress = Progress(params["progress_file"], f"snapshot of {params['repository'] or places.dest}")

    def work() -> dict[str, t.Any]:
        if params["state"] == "absent":
            return absent(module, places)
        settings = Settings(
            endpoint=endpoint_of(params["endpoint"]),
            token=params["token"],
            proxy=params["proxy"],
            ca_bundle=params["ca_bundle"],
            timeout=params["timeout"],
            retries=params["retries"],
        )
        selection = Selection(params["allow_patterns"], params["ignore_patterns"], params["unsafe_formats"])
        source = Source(
            settings,
            params["repository"],
            params["revision"],
            selection,
            params["expected"] or {},
            params["cache_dir"],
            params["offline"],
            lambda text: progress.say(without_secrets(text, module.no_log_values)),
        )
        return present(module, places, source, progress)

    # In check mode nothing is written, not even a lock; another run may then change what is seen.
    if module.check_mode or not os.path.isdir(places.parent):
        astray = places.current() != places.dest
        result = work()
    else:
        with Lock(places.lock, params["lock_timeout"], progress.say):
            astray = recover(places)
            result = work()
    if progress.problem:
        module.warn(progress.problem)
    return {**result, "changed": result["changed"] or astray}


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_if=[("state", "present", ["repository"])],
        mutually_exclusive=[("token", "token_file")],
    )
    try:
        if module.params["state"] == "present":
            check_options(module.params)
            module.params["token"] = read_token(module.params)
            # Ansible takes these out of everything that it shows.
            module.no_log_values.update(secrets_of(module.params["token"], module.params["proxy"]))
            if module.params["token"] and is_unprotected(endpoint_of(module.params["endpoint"])):
                module.warn("the token travels unencrypted, since endpoint begins with http:; use https")
        module.exit_json(**run(module))
    except LibraryMissing as error:
        remedy = missing_required_lib(
            "huggingface_hub (1.0 or newer)", url="https://pypi.org/project/huggingface-hub/"
        )
        module.fail_json(msg=f"{remedy} ({error})")
    except (ValueError, OSError, HubError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
