# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action plugin of module model_claim."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.private_ai.chatbot.plugins.plugin_utils import runs


class ActionModule(ActionBase):
    """Tells the module which run this is, and whether the one that has the host's models has ended."""

    def run(self, tmp: None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Run the module, a second time when only a run that has ended is in the way."""
        arguments = dict(self._task.args)
        super().run(tmp, task_vars)
        for name in ("_run", "_ended"):
            if name in arguments:
                return {"failed": True, "msg": f"{name} is not an option; leave it out"}
        own = runs.this()
        found = self._module({**arguments, "_run": own}, task_vars)
        holder = found.get("holder") or {}
        if found.get("failed") and runs.ended(holder, own):
            found = self._module({**arguments, "_run": own, "_ended": holder["id"]}, task_vars)
        return found

    def _module(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        found: dict[str, t.Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
        return found
