# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""What a write would do, before it is done."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .ownership import Object, clean


@dataclass
class Plan:
    """The outcome of comparing one object.

    :param desired: what is wanted of it.
    :param before: the object as it is, None when there is none.
    :param after: the object as it would be, None when it would be gone.
    :param notes: what else would change, as name -> (before, after).
    """

    desired: Object
    before: Object | None
    after: Object | None
    changed: bool
    notes: dict[str, tuple[t.Any, t.Any]] = field(default_factory=dict)

    def diff(self) -> dict[str, t.Any]:
        """Return the module's diff, without what nobody can want to compare."""
        before = clean(self.before) if self.before is not None else {}
        after = clean(self.after) if self.after is not None else {}
        for name, (old, new) in self.notes.items():
            before[name], after[name] = old, new
        return {"before": before, "after": after}
