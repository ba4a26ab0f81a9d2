# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""What goes wrong around Skupper, each with its remedy."""

from __future__ import annotations

from ..kubernetes.errors import ApiError, ClusterError, InvalidValue, MissingPrerequisite, WaitFailed

#: They end the modules for Skupper on every platform.
SkupperError = ClusterError

__all__ = ["ApiError", "InvalidValue", "MissingPrerequisite", "SkupperError", "WaitFailed"]
