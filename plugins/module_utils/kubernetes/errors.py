# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""What ends a module that works with a cluster."""

from __future__ import annotations

import typing as t


class ClusterError(Exception):
    """Ends a module.

    :param message: what is wrong, the value, the limit and the remedy.
    :param evidence: more keys of the module's result (cmd, rc, stdout, conditions, ...), never a secret.
    """

    def __init__(self, message: str, **evidence: t.Any) -> None:
        super().__init__(message)
        self.message = message
        self.evidence = evidence

    def as_result(self) -> dict[str, t.Any]:
        """Return keyword arguments for ``module.fail_json(**error.as_result())``."""
        return {"msg": self.message, **self.evidence}


class InvalidValue(ClusterError):
    """An option has a value that cannot be."""


class MissingPrerequisite(ClusterError):
    """Something that an earlier task of the same play may bring: check mode warns, a real run fails."""


class WaitFailed(ClusterError):
    """What was waited for did not happen; the object was written."""


class ApiError(ClusterError):
    """The API server refused.

    :param status: HTTP status; 0 when nobody answered.
    :param reason: the reason of the Status object, such as Conflict.
    """

    def __init__(self, message: str, status: int = 0, reason: str = "", **evidence: t.Any) -> None:
        super().__init__(message, **evidence)
        self.status = status
        self.reason = reason
