#!/usr/bin/python

# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: find out, by really starting containers, how this host's podman can be used."""

from __future__ import annotations

DOCUMENTATION = r"""
module: podman_preflight
short_description: Find out how podman works on this host
version_added: 0.1.0
description:
  - Starts real containers from a tiny image made of the host's own files, so that no registry is needed,
    with the hardening our services have, and finds the OCI runtime and resource limits that work.
  - Also tries a build, an internal network without name server and with fixed addresses, and a published
    port.
  - Everything it makes is removed again, also in check mode, in which it does the same.
  - What is wrong is returned with its remedy. The module does not fail because of it; the caller decides.
extends_documentation_fragment:
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.facts_module
  - private_ai.chatbot.attributes.actiongroup_chatbot
options:
  executable:
    description: Name or path of the podman command on the host.
    type: str
    default: podman
  runtimes:
    description:
      - OCI runtimes to try after podman's default one, in this order. Those not installed are left out.
    type: list
    elements: str
    default: [crun, runc]
  cache_file:
    description:
      - File that remembers a result without problems, so that the same question is answered at once until the
        host is booted again or podman, an OCI runtime or a limit of the process changes.
      - Nothing is remembered in check mode.
    type: path
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: Find out how podman works here
  private_ai.chatbot.podman_preflight:
  register: preflight

- name: Stop with the remedies when it does not
  ansible.builtin.assert:
    that: preflight.problems | selectattr('blocking') | list | length == 0
    fail_msg: "{{ preflight.problems | selectattr('blocking') | map(attribute='what') | join('; ') }}"
"""

RETURN = r"""
podman:
  description: How podman can be used here; null when it is missing or too old to be asked.
  returned: always
  type: dict
  contains:
    version:
      description: Version of podman.
      type: str
    rootless:
      description: Whether it runs for an ordinary user.
      type: bool
    arch:
      description: Architecture of the host in podman's words.
      type: str
    systemd:
      description: Whether systemd answers, for the system or for this user.
      type: bool
    quadlet:
      description: Whether Quadlet units can be used.
      type: bool
    cgroup:
      description: Version of the control groups.
      type: str
    cgroup_manager:
      description: What manages them.
      type: str
    network_backend:
      description: What makes the networks.
      type: str
    runtime:
      description: OCI runtime to name; null when podman's default works.
      type: str
    ulimits:
      description: Limits to name explicitly; empty when podman's own work.
      type: dict
    run_args:
      description: The limits as arguments of C(podman run) and C(podman create).
      type: list
      elements: str
    build_args:
      description: Arguments of C(podman build) that work here.
      type: list
      elements: str
    resource_limits:
      description: Whether memory, processor and process limits can be set.
      type: bool
    storage_driver:
      description: Podman's storage driver.
      type: str
    graph_root:
      description: Directory of podman's storage.
      type: str
    graph_root_free_mb:
      description: Space left there, in megabytes of 1024 * 1024 bytes.
      type: int
  sample:
    version: 4.3.1
    rootless: false
    arch: amd64
    systemd: false
    quadlet: false
    cgroup: v1
    cgroup_manager: cgroupfs
    network_backend: netavark
    runtime: runc
    ulimits: {nofile: "20000:20000", nproc: "4096:4096"}
    run_args: ["--ulimit=nofile=20000:20000", "--ulimit=nproc=4096:4096"]
    build_args: ["--ulimit=nofile=20000:20000", "--ulimit=nproc=4096:4096"]
    resource_limits: true
    storage_driver: overlay
    graph_root: /var/lib/containers/storage
    graph_root_free_mb: 51200
problems:
  description: What the user has to do, the blocking ones first; empty when all is well.
  returned: always
  type: list
  elements: dict
  contains:
    what:
      description: What is wrong, with podman's own words.
      type: str
    remedy:
      description: What helps.
      type: str
    blocking:
      description: Whether nothing can run before it is done.
      type: bool
  sample:
    - what: "networks of ordinary users cannot be set up: /dev/net/tun is missing or may not be used"
      remedy: "as root run: modprobe tun; chmod 666 /dev/net/tun"
      blocking: true
tried:
  description: The ways to start a container that failed, with podman's message.
  returned: always
  type: list
  elements: dict
  sample:
    - way: the default runtime with podman's own limits
      message: "Error: crun: setrlimit `RLIMIT_NOFILE`: Operation not permitted: OCI permission denied"
"""

import signal
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman import memory
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.preflight import (
    Problem,
    not_installed,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.survey import Survey

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "executable": {"type": "str", "default": "podman"},
    "runtimes": {"type": "list", "elements": "str", "default": ["crun", "runc"]},
    "cache_file": {"type": "path"},
}


def answer(
    facts: dict[str, t.Any] | None, problems: t.Iterable[Problem] = (), tried: t.Sequence[t.Any] = ()
) -> dict[str, t.Any]:
    """Return the result, the blocking problems first."""
    ordered = sorted(problems, key=lambda problem: not problem.blocking)
    return {
        "changed": False,
        "podman": facts,
        "problems": [problem.as_result() for problem in ordered],
        "tried": list(tried),
    }


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """Answer from memory or by a survey."""
    runtimes, cache_file = module.params["runtimes"], module.params["cache_file"]
    path = module.get_bin_path(module.params["executable"])
    if path is None:
        return answer(None, [not_installed(module.params["executable"])])
    key = memory.circumstances(path, runtimes) if cache_file else ""
    kept = memory.recall(cache_file, key) if cache_file else None
    if kept:
        return answer(kept)
    survey = Survey(module.run_command, path, runtimes)
    facts = survey.run()
    if cache_file and facts and not survey.problems and not module.check_mode:
        try:
            memory.keep(cache_file, key, facts)
        except OSError as error:
            module.warn(f"the result cannot be remembered in {cache_file}: {error}")
    return answer(facts, survey.problems, survey.tried)


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    # A task that is aborted ends the module by a signal; this lets it clean up as after an error.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_args: module.fail_json(msg="aborted by a signal"))
    module.exit_json(**run(module))


if __name__ == "__main__":
    main()
