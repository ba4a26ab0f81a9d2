# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of the modules for Skupper."""

from __future__ import annotations


class ModuleDocFragment:
    """Keep in step with the arguments in module_utils/skupper/session.py."""

    DOCUMENTATION = r"""
options:
  namespace:
    description:
      - Namespace of the site. On Kubernetes it must exist; elsewhere it is a directory that Skupper makes.
    type: str
    default: default
  executable:
    description:
      - Name or path of the C(skupper) command on the host that the module runs on. It renders and checks what
        is wanted; the modules compare, write and wait by themselves.
    type: str
    default: skupper
requirements:
  - Skupper's command line tool 2.1 or newer
  - PyYAML (Python library), for the other platforms
notes:
  - All modules of this kind are in the action group C(private_ai.chatbot.skupper), so that C(module_defaults)
    sets the connection once.
"""

    # Modules that are for every platform; the others say for which they are.
    PLATFORM = r"""
options:
  platform:
    description:
      - Where the site runs.
      - V(kubernetes) also stands for OpenShift. V(podman), V(docker) and V(linux) are sites of one host,
        whose objects are files below C(/var/lib/skupper) (root) or C($XDG_DATA_HOME/skupper) (others).
    type: str
    choices: [kubernetes, podman, docker, linux]
    default: kubernetes
"""

    # Modules that have nothing to do on Kubernetes; they say why.
    HOST = r"""
options:
  platform:
    type: str
    choices: [podman, docker, linux]
    required: true
"""

    # Modules that change something.
    CHANGES = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - What an earlier task of the play may bring (a namespace, CRDs, a site, the command) is a warning in
        check mode, which goes on as if it were there.
  diff_mode:
    support: full
  idempotent:
    support: full
"""

    # Listeners and connectors.
    SERVICE = r"""
options:
  routing_key:
    description: What listeners and connectors of all sites are matched by. Without it, O(name).
    type: str
  expose_pods_by_name:
    description: Whether each pod of the connector's side gets a name of its own on the listener's.
    type: bool
    default: false
  settings:
    description: More settings, by name. Others that it has stay.
    type: dict
  wait_for:
    description:
      - V(configured) waits until the router serves it, V(ready) also until the other side matches.
    type: str
    choices: [configured, ready]
    default: configured
"""

    # Modules that keep one object.
    OBJECT = r"""
options:
  state:
    description: Whether it exists.
    type: str
    choices: [present, absent]
    default: present
  labels:
    description:
      - Labels. Others that the object has stay. A label that this module set and that is no longer given is
        removed.
    type: dict
  annotations:
    description: Annotations, in the same way.
    type: dict
notes:
  - Every option of the specification is managed, also when it is left at its default; O(labels),
    O(annotations) and settings are managed by key, and what others added stays.
  - On Kubernetes the object is written by server-side apply as field manager C(private_ai.chatbot).
  - On the other platforms the file in C(input/resources) is written, and C(reload_needed) tells whether the
    site must be started or reloaded; M(private_ai.chatbot.skupper_system) does it.
"""

    WAIT = r"""
options:
  wait:
    description:
      - Whether to wait until the controller has done its part. Only O(platform=kubernetes) has one.
      - An error that lasts 3 seconds ends the wait, and so does a controller that writes nothing for 20
        seconds.
    type: bool
    default: true
  wait_timeout:
    description: Seconds to wait at most.
    type: int
    default: 180
"""
