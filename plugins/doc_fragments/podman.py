# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options every module that calls podman has."""

from __future__ import annotations


class ModuleDocFragment:
    """Keep in step with COMMON_ARGUMENTS of module_utils/podman/common.py."""

    DOCUMENTATION = r"""
options:
  executable:
    description:
      - Name or path of the podman command on the host.
    type: str
    default: podman
  runtime:
    description:
      - OCI runtime given to podman, such as V(runc) or V(crun).
      - Without it podman's own default is used. M(private_ai.chatbot.podman_preflight) finds out which one
        works.
    type: str
requirements:
  - Podman 4.3 or newer, or Podman 3.4 as Ubuntu 22.04 has it
notes:
  - Rootless as well as rootful; the module acts on the Podman of the user it runs as.
"""
