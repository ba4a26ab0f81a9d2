# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether files on the control node are the same as in an earlier run."""

from __future__ import annotations

import hashlib
import os
import typing as t

from ansible.errors import AnsibleFilterError


def tree_digest(folders: t.Sequence[str]) -> str:
    """Return one checksum of all files below directories: their paths there, and what they hold."""
    digest = hashlib.sha256()
    for folder in folders:
        if not os.path.isdir(folder):
            raise AnsibleFilterError(f"tree_digest: {folder} is not a directory")
        for root, below, names in os.walk(folder):
            below[:] = sorted(name for name in below if name != "__pycache__")
            for name in sorted(names):
                path = os.path.join(root, name)
                with open(path, "rb") as stream:
                    content = hashlib.sha256(stream.read()).hexdigest()
                digest.update(f"{os.path.relpath(path, folder)}\0{content}\n".encode())
    return digest.hexdigest()


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return the filters of this file."""
        return {"tree_digest": tree_digest}
