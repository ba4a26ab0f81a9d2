# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Pure functions that write a Quadlet ``.container`` unit for a spec.

Only keys of Podman 4.4, the first with Quadlet, are used, and ``GlobalArgs`` (4.8) when a runtime is
named; everything else travels as ``PodmanArgs``, so that both backends share one list of arguments.
"""

from __future__ import annotations

import typing as t

from .spec import SPEC_LABEL, SpecError, all_labels, network_argument, option_args

#: First versions of podman with Quadlet and with its key GlobalArgs.
MINIMUM_VERSION = (4, 4, 0)
GLOBAL_ARGS_VERSION = (4, 8, 0)

#: Where podman packages put the generator.
GENERATORS = (
    "/usr/libexec/podman/quadlet",
    "/usr/lib/podman/quadlet",
    "/usr/lib/systemd/system-generators/podman-system-generator",
)

_RESTART = {"always": "always", "on-failure": "on-failure", "no": "no", "unless-stopped": "always"}

#: Podman's own time between SIGTERM and SIGKILL when nothing else is asked for, in seconds.
_DEFAULT_STOP_TIMEOUT = 10


def quote(word: str) -> str:
    """Return one word for a line that systemd splits and expands: quoted, with ``%`` and ``$`` doubled."""
    escaped = (
        word.replace("\\", "\\\\")
        .replace('"', '\\"')
        .replace("\n", "\\n")
        .replace("\t", "\\t")
        .replace("%", "%%")
        .replace("$", "$$")
    )
    plain = escaped == word and word != "" and not any(character in word for character in " ';#")
    return escaped if plain else f'"{escaped}"'


def unit_name(name: str) -> str:
    """Return the name of the service systemd makes of the unit of container ``name``."""
    return f"{name}.service"


def file_name(name: str) -> str:
    """Return the file name of the unit of container ``name``."""
    return f"{name}.container"


def render_unit(
    spec: t.Mapping[str, t.Any],
    spec_digest: str,
    *,
    rootless: bool,
    cgroup_v1: bool,
    at_boot: bool = True,
) -> str:
    """Return the text of the unit.

    :param spec: what :func:`spec.normalise` returned.
    :param spec_digest: checksum of the rendered spec; in the text, so that a new image or secret is a change.
    :param rootless: decides which target starts the unit at boot.
    :param cgroup_v1: Quadlet asks for ``--cgroups=split``, which only version 2 can do.
    :param at_boot: whether systemd starts it at boot.
    """
    if "" in spec.get("command", []):
        # Podman's generator leaves out an empty word and everything after it, without a message.
        raise SpecError("command has an empty word, which a Quadlet unit cannot carry; use backend=container")
    stop_timeout = int(spec.get("stop_timeout", _DEFAULT_STOP_TIMEOUT))
    lines = [
        "# Written by the Ansible collection private_ai.chatbot; its next run replaces changes by hand.",
        "[Unit]",
        f"Description={spec['name'].replace('%', '%%')} (private_ai.chatbot)",
        # A service that people rely on is tried again for ever, like a container with a restart policy.
        "StartLimitIntervalSec=0",
        "",
        "[Container]",
        f"ContainerName={spec['name']}",
        f"Image={spec['image']}",
    ]
    labels = all_labels(spec, {SPEC_LABEL: spec_digest})
    lines += [f"Label={quote(f'{name}={value}')}" for name, value in labels.items()]
    lines += [f"Environment={quote(f'{name}={value}')}" for name, value in spec.get("env", {}).items()]
    lines += [f"Network={network_argument(network)}" for network in spec.get("networks", [])]
    lines += [f"PublishPort={port}" for port in spec.get("publish", [])]
    args = option_args(spec)
    if cgroup_v1:
        args.append("--cgroups=enabled")
    args.append("--pull=never")
    lines += [f"PodmanArgs={quote(arg)}" for arg in args]
    if "runtime" in spec:
        lines.append(f"GlobalArgs={quote('--runtime=' + spec['runtime'])}")
    if spec.get("command"):
        lines.append("Exec=" + " ".join(quote(word) for word in spec["command"]))
    lines += [
        "",
        "[Service]",
        f"Restart={_RESTART[spec.get('restart', 'always')]}",
        "RestartSec=2",
        # Longer than podman's own limit, so that it is podman that ends the container, with its SIGKILL.
        f"TimeoutStopSec={stop_timeout + 20}",
        "TimeoutStartSec=120",
    ]
    if at_boot:
        lines += ["", "[Install]", f"WantedBy={'default.target' if rootless else 'multi-user.target'}"]
    for name, value in spec.get("triggers", {}).items():
        lines.insert(1, f"# trigger {name}: {' '.join(value.split())}")
    return "\n".join(lines) + "\n"
