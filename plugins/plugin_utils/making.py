# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules that make an image from a directory of the control node: it is copied only when it is needed."""

from __future__ import annotations

import os
import tempfile
import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman import context


class MakingAction(ActionBase):
    """Tells the module what the directory holds, and hands it over when the module asks for it.

    Nothing but the list of files and their checksums travels while the image is current, nor in check mode.
    """

    def run(self, tmp: None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Run the module, a second time with the files when it has to make the image."""
        arguments = dict(self._task.args)
        src = arguments.get("src")
        self._supports_async = not src
        super().run(tmp, task_vars)
        for name in ("_manifest", "_archive"):
            if name in arguments:
                return {"failed": True, "msg": f"{name} is not an option; use src"}
        if not src or arguments.get("state") == "absent":
            return self._module(arguments, task_vars)
        root = self._find_needle("files", os.path.expanduser(src))
        try:
            entries = context.scan(root, selection_of(arguments), portable=True)
        except (OSError, ValueError) as error:
            return {"failed": True, "msg": f"src is {src!r}: {error}"}
        arguments.update(src=root, _manifest=[list(entry) for entry in entries])
        result = self._module(arguments, task_vars)
        if result.pop("context_wanted", False):
            arguments["_archive"] = self._hand_over(root, entries)
            result = self._module(arguments, task_vars)
        return result

    def _module(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        found: dict[str, t.Any] = self._execute_module(
            module_args=arguments, task_vars=task_vars, wrap_async=self._task.async_val
        )
        return found

    def _hand_over(self, root: str, entries: list[context.Entry]) -> str:
        with tempfile.TemporaryDirectory(prefix="private-ai-") as folder:
            archive = os.path.join(folder, "context.tar")
            context.pack(root, entries, archive)
            # Without pipelining the module's first run has made one, which is removed at the end.
            directory = self._connection._shell.tmpdir or self._make_tmp_path()
            remote = self._connection._shell.join_path(directory, "context.tar")
            self._transfer_file(archive, remote)
        self._fixup_perms2((self._connection._shell.tmpdir, remote))
        return str(remote)


def selection_of(arguments: t.Mapping[str, t.Any]) -> context.Selection:
    """Return what of the directory is wanted; ValueError when an option is not a list of names."""
    chosen = {name: arguments.get(name) or [] for name in context.Selection._fields}
    for name, value in chosen.items():
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ValueError(f"{name} is {value!r}; it must be a list of paths below src")
    return context.Selection(
        **{name: [os.path.normpath(one) for one in value] for name, value in chosen.items()}
    )
