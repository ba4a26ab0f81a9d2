# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of the modules that make a model from files, in a container."""

from __future__ import annotations


class ModuleDocFragment:
    """Keep in step with TOOL_ARGUMENTS of module_utils/podman/common.py."""

    DOCUMENTATION = r"""
options:
  ulimits:
    description: Limits of the container by name, such as V(nofile) with the value V(1024:1024).
    type: dict
  verify:
    description:
      - V(quick) reads a file again only when its size, times, inode or device differ from what
        O(checksum_cache) remembers.
      - V(full) reads everything again.
    type: str
    choices: [quick, full]
    default: quick
  checksum_cache:
    description:
      - File on the host that remembers checksums. Its directory must exist. Give the same to every task about
        a model. It is not written in check mode. Without it, everything is read every time.
    type: path
  progress_file:
    description: File to which a plain line is appended for each step. A missing directory is made.
    type: path
  log_file:
    description: File for the whole output of the container. A missing directory is made.
    type: path
"""
