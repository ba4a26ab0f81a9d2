# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of the modules that make an image."""

from __future__ import annotations


class ModuleDocFragment:
    """Keep in step with MAKING_ARGUMENTS of module_utils/podman/common.py."""

    DOCUMENTATION = r"""
options:
  state:
    description: Whether the image exists.
    type: str
    choices: [present, absent]
    default: present
  src:
    description:
      - Directory on the control node with what the image is made from; a relative path is looked for in the
        role's C(files). Directories named C(__pycache__) do not count.
      - The image is compared with the checksums of these files. They are copied to the host only when the
        image has to be made, and removed again.
      - A task with O(src) cannot run with C(async).
    type: path
  files:
    description: Names in O(src) that are needed. Without it, all.
    type: list
    elements: str
  exclude:
    description: Paths below O(src) that are not needed.
    type: list
    elements: str
  _manifest:
    description: What O(src) holds. Set by the action plugin, refused in a task.
    type: raw
  _archive:
    description: Where on the host an archive of it is. Set by the action plugin, refused in a task.
    type: path
  ulimits:
    description: Limits for the build by name, such as V(nofile) with the value V(1024:1024).
    type: dict
  ca_bundle:
    description:
      - PEM bundle of certificates that are trusted while the image is made, for hosts behind a proxy with its
        own CA. It does not get into the image. Without it, the host's own bundle.
    type: path
  progress_file:
    description: File to which a plain line is appended for each step. A missing directory is made.
    type: path
  log_file:
    description: File for the whole output. A missing directory is made.
    type: path
"""
