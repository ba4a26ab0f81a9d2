# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action plugin of module podman_base_image."""

from __future__ import annotations

from ansible_collections.private_ai.chatbot.plugins.plugin_utils.making import MakingAction


class ActionModule(MakingAction):
    """Brings the files of the control node to the host when they are needed."""
