# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""The one place through which a service is changed."""

from __future__ import annotations

import typing as t


class Actions:
    """Notes each step in words and takes it, or in check mode only notes it.

    ``done`` holds what was (or in check mode would be) done, in order.
    """

    def __init__(self, check_mode: bool = False) -> None:
        self.check_mode = check_mode
        self.done: list[str] = []

    def do(self, action: str, order: t.Callable[[], object]) -> None:
        """Note ``action`` and, unless this is a check, give the order."""
        self.done.append(action)
        if not self.check_mode:
            order()
