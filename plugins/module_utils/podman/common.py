# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""What the podman modules share towards Ansible: options, the client, the way to fail."""

from __future__ import annotations

import os
import typing as t

from .client import PodmanClient, PodmanError
from .preflight import not_installed
from .systemd import Systemd, session_environ

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

#: Keep in step with the documentation fragment ``private_ai.chatbot.podman``.
COMMON_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "executable": {"type": "str", "default": "podman"},
    "runtime": {"type": "str"},
}

#: What the modules that make a model in a container have besides.
#: Keep in step with the documentation fragment ``private_ai.chatbot.podman_tool``.
TOOL_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "ulimits": {"type": "dict"},
    "verify": {"type": "str", "choices": ["quick", "full"], "default": "quick"},
    "checksum_cache": {"type": "path"},
    "progress_file": {"type": "path"},
    "log_file": {"type": "path"},
}

#: What the modules that make an image have in common.
#: Keep in step with the documentation fragment ``private_ai.chatbot.podman_making``.
MAKING_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **COMMON_ARGUMENTS,
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "src": {"type": "path"},
    "files": {"type": "list", "elements": "str"},
    "exclude": {"type": "list", "elements": "str"},
    # From the action plugin: what src holds, and where on this host an archive of it is.
    "_manifest": {"type": "raw"},
    "_archive": {"type": "path"},
    "ulimits": {"type": "dict"},
    "ca_bundle": {"type": "path"},
    "progress_file": {"type": "path"},
    "log_file": {"type": "path"},
}


def make_client(module: AnsibleModule) -> PodmanClient:
    """Return the client for the module's options; ends the module with a remedy when podman is missing."""
    executable = module.params["executable"]
    path = module.get_bin_path(executable)
    if path is None:
        problem = not_installed(executable)
        module.fail_json(msg=f"{problem.what}; {problem.remedy}")
    return PodmanClient(
        module.run_command,
        executable=path,
        runtime=module.params.get("runtime"),
        environ=session_environ(os.environ, os.geteuid()),
    )


def make_systemd(module: AnsibleModule) -> Systemd:
    """Return systemctl for the user the module runs as."""
    return Systemd(module.run_command, os.geteuid(), session_environ(os.environ, os.geteuid()))


def fail(module: AnsibleModule, error: PodmanError, **partial: t.Any) -> t.NoReturn:
    """End the module with the evidence of ``error`` and what was already known."""
    module.fail_json(**{**partial, **error.as_result()})
    raise AssertionError("fail_json returned")  # pragma: no cover


def finish(
    module: AnsibleModule, run: t.Callable[[AnsibleModule, PodmanClient], dict[str, t.Any]]
) -> t.NoReturn:
    """End the module with what ``run`` returns, or with what went wrong."""
    client = make_client(module)
    try:
        module.exit_json(**run(module, client))
    except (ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    except PodmanError as error:
        fail(module, error)
    raise AssertionError("exit_json returned")  # pragma: no cover
