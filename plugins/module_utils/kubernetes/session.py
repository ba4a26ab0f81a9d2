# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""One run of a module that works with a cluster: its connection, its warnings, and how it ends."""

from __future__ import annotations

import time
import traceback
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from .arguments import CONNECTION_ARGUMENTS, Arguments
from .client import Client, connected, sensitive_values
from .errors import ClusterError, MissingPrerequisite

__all__ = ["CONNECTION_ARGUMENTS", "ClusterSession", "run_module"]


class ClusterSession:
    """What the parts of a module need to know."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params: dict[str, t.Any] = module.params
        self.check_mode: bool = module.check_mode
        self.warnings: list[str] = []
        module.no_log_values.update(sensitive_values(self.params.get("kubeconfig")))
        try:
            self.client = connected(Client, self.params)
        except ImportError:
            module.fail_json(msg=missing_required_lib("kubernetes"), exception=traceback.format_exc())

    def excuse(self, error: MissingPrerequisite) -> None:
        """Turn what an earlier task may bring into a warning, in check mode; raise it otherwise."""
        if not self.check_mode:
            raise error
        self.warnings.append(f"{error.message} (check mode goes on as if it were there)")

    def clock(self) -> float:
        """Return seconds of a clock that does not jump."""
        return time.monotonic()


def run_module(
    arguments: Arguments, run: t.Callable[[ClusterSession], dict[str, t.Any]], **options: t.Any
) -> None:
    """Run a module: build it, call ``run``, report what it returns or why it failed."""
    # Nothing goes to the host's log: a kubeconfig given as a mapping would be in it before it can be hidden.
    module = AnsibleModule(argument_spec=arguments, supports_check_mode=True, no_log=True, **options)
    try:
        session = ClusterSession(module)
        result = run(session)
    except ClusterError as error:
        module.fail_json(**error.as_result())
    for warning in session.warnings:
        module.warn(warning)
    module.exit_json(**result)
