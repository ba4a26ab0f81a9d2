# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules of this collection say about check mode, diff and idempotence."""

from __future__ import annotations


class ModuleDocFragment:
    """Each module states the support; a fragment only brings the descriptions."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
  diff_mode:
    description:
      - Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff
        mode.
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates
        no change.
"""

    # A module that only looks: never a change, never a write that stays.
    FACTS_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module does not change anything that stays.
  diff_mode:
    support: N/A
    details:
      - This module does not change anything that stays.
  idempotent:
    support: full
    details:
      - This module does not change anything that stays.
"""

    ACTIONGROUP_CHATBOT = r"""
options: {}
attributes:
  action_group:
    description:
      - Use C(group/private_ai.chatbot.chatbot) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - private_ai.chatbot.chatbot
"""

    ACTIONGROUP_SKUPPER = r"""
options: {}
attributes:
  action_group:
    description:
      - Use C(group/private_ai.chatbot.skupper) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - private_ai.chatbot.skupper
"""

    ACTIONGROUP_KUBERNETES = r"""
options: {}
attributes:
  action_group:
    description:
      - Use C(group/private_ai.chatbot.kubernetes) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - private_ai.chatbot.kubernetes
"""
