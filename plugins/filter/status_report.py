# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all hosts of the solution said, as one report."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.private_ai.chatbot.plugins.module_utils.status.screen import report, screen


def status_report(hosts: t.Any, verification: t.Any = None) -> dict[str, t.Any]:
    """Return the report of the hosts' facts and of the last verification."""
    if not isinstance(hosts, dict):
        raise AnsibleFilterError(f"status_report takes a dictionary of hosts, not a {type(hosts).__name__}")
    found = report(hosts, verification)
    return {**found, "screen": screen(found)}


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return them by name."""
        return {"status_report": status_report}
