# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a support bundle."""

from __future__ import annotations

import json
import re
import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.private_ai.chatbot.plugins.module_utils.status.support import redact


def support_files(hosts: t.Any) -> list[dict[str, str]]:
    """Return the files of all hosts, in order."""
    if not isinstance(hosts, dict):
        raise AnsibleFilterError(f"support_files takes a dictionary of hosts, not a {type(hosts).__name__}")
    found = []
    for host, facts in sorted(hosts.items()):
        folder = re.sub(r"[^A-Za-z0-9._-]", "_", str(host))
        texts = dict(facts.get("files") or {})
        if facts.get("unreachable"):
            texts["unreachable.txt"] = str(facts["unreachable"])
        for name, value in facts.items():
            if name not in ("files", "unreachable") and value:
                texts[name] = value if isinstance(value, str) else json.dumps(value, indent=1, default=str)
        found += [
            {"name": f"{folder}/{name}", "text": redact(str(text))} for name, text in sorted(texts.items())
        ]
    return found


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return them by name."""
        return {"support_files": support_files}
