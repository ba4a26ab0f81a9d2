# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""For which processor something is compiled."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.private_ai.chatbot.plugins.module_utils import processor


def processor_key(cpuinfo: str) -> str:
    """Return the key of the processor that /proc/cpuinfo describes."""
    try:
        return processor.key(cpuinfo)
    except ValueError as error:
        raise AnsibleFilterError(f"processor_key: {error}") from error


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return the filters of this file."""
        return {"processor_key": processor_key}
