# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""All that a role keeps on a host, seen with few questions: one checksum for each thing that may drift.

What counts is what the modules themselves compare, so that what is as it was needs no module of its own.
"""

from __future__ import annotations

import json
import os
import re
import typing as t

from ansible.module_utils.urls import open_url

from .. import processor as abilities
from .. import recipe
from .client import PodmanClient
from .cni import NetworkFiles, is_conflist
from .service import observe
from .systemd import RESTART_UNIT, Systemd, unit_directory

#: Seconds for the one question over HTTP.
_PATIENCE = 5


def _described(found: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return what of a container is compared; it may be the same one or one made again from the same."""
    seen = observe(found)
    if seen is None:
        return {}
    facts = seen._asdict()
    return {name: facts[name] for name in facts if name not in ("id", "started_at", "exit_code", "restarts")}


def _inspected(client: PodmanClient, kind: str, names: t.Sequence[str]) -> list[dict[str, t.Any]]:
    """Return what podman says of those that exist; one question for all of them."""
    if not names:
        return []
    # With one of them missing the status is not 0, and the others are in the output all the same.
    done = client.run([kind, "inspect", *names], check=False)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        return []
    return found if isinstance(found, list) else []


def containers(client: PodmanClient, pattern: str) -> dict[str, str]:
    """Return a checksum for each container whose whole name fits, by its name."""
    listed = client.run(["ps", "--all", "--format={{.Names}}"]).stdout.split()
    wanted = re.compile(pattern)
    names = sorted(name for name in listed if wanted.fullmatch(name))
    found = {entry.get("Name", ""): _described(entry) for entry in _inspected(client, "container", names)}
    return {f"container {name}": recipe.digest(found.get(name)) for name in names}


def networks(client: PodmanClient, names: t.Sequence[str]) -> dict[str, str]:
    """Return a checksum for each network; what is connected to it is the containers' matter."""
    found = _inspected(client, "network", names)
    plain = [{key: value for key, value in entry.items() if key != "containers"} for entry in found]
    files = NetworkFiles(client)
    for entry in filter(is_conflist, plain):
        entry["seats"] = recipe.fingerprints(files.paths(entry["name"]))
    return {f"network {entry.get('name')}": recipe.digest(entry) for entry in plain}


def secrets(client: PodmanClient, names: t.Sequence[str]) -> dict[str, str]:
    """Return a checksum of the identity of each secret; its data are never asked for."""
    found = _inspected(client, "secret", names)
    return {f"secret {(entry.get('Spec') or {}).get('Name')}": recipe.digest(entry) for entry in found}


def images(client: PodmanClient, names: t.Sequence[str]) -> dict[str, str]:
    """Return one checksum of the identities of all images, of which several may be the same."""
    found = _inspected(client, "image", names)
    return {"images": recipe.digest([entry.get("Id") for entry in found])} if names else {}


def units(systemd: Systemd, environ: t.Mapping[str, str], found: t.Iterable[str]) -> dict[str, str]:
    """Return what systemd knows of the containers, nothing where it does not run."""
    if not systemd.usable():
        return {}
    names = sorted(name.partition(" ")[2] for name in found)
    folder = unit_directory(systemd.uid, environ)
    files = [os.path.join(folder, f"{name}.container") for name in names]
    active = systemd.run(["is-active", *[f"{name}.service" for name in names]], check=False).stdout
    state = [active, systemd.enablement(RESTART_UNIT), systemd.lingers(), recipe.fingerprints(files)]
    return {"units": recipe.digest(state)}


def processor() -> str:
    """Return the key of what the processor can do: images are built for it. Empty where it does not say."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            return abilities.key(stream.read())
    except (OSError, ValueError):
        return ""


def answers(url: str, key: str) -> str:
    """Return how many servers the gateway's status says are up; empty when it does not answer so."""
    headers = {"Authorization": f"Bearer {key}"}
    try:
        with open_url(url, headers=headers, timeout=_PATIENCE, use_proxy=False) as response:
            return str(json.load(response)["up"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
