# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Where a base image can come from: pure decisions, and the one question asked of a registry."""

from __future__ import annotations

import hashlib
import os
import typing as t
import urllib.error
import urllib.request

#: Docker Hub's name in image references, and where it answers.
_HUB = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}

REMEDY = (
    "Remedy: name an image that can be pulled in base image's option image, "
    "or make one on a Debian or Ubuntu host and load it here (podman save, podman load)"
)


def registry_of(reference: str) -> str:
    """Return the host (and port) that an image reference is pulled from."""
    first = reference.split("/", 1)[0]
    if "/" not in reference or not ("." in first or ":" in first or first == "localhost"):
        return "registry-1.docker.io"
    return _HUB.get(first, first)


def registry_answers(host: str, timeout: float = 8.0) -> str:
    """Return an empty string when a registry answers at ``host``, otherwise why not.

    Asked before ``podman pull``, which would try for minutes where packets are dropped. Proxies of the environment are used.
    """
    url = f"https://{host}/v2/"
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:  # noqa: S310 - always https
            return "" if answer.status == 200 else f"{url} answered {answer.status}"
    except urllib.error.HTTPError as error:
        # A registry that wants a login first is there.
        return "" if error.code == 401 else f"{url} answered {error.code}"
    except (OSError, ValueError) as error:
        return f"{url}: {getattr(error, 'reason', error)}"


def os_release(text: str) -> dict[str, str]:
    """Return the values of an os-release file."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, value in pairs}


def can_bootstrap(release: t.Mapping[str, str]) -> bool:
    """Return whether this host is a Debian or Ubuntu (or says that it is like one)."""
    return bool({"debian", "ubuntu"} & set(f"{release.get('ID', '')} {release.get('ID_LIKE', '')}".split()))


def inputs_digest(kind: str, *values: str) -> str:
    """Return the checksum kept in the image's label."""
    return hashlib.sha256("\0".join([kind, *values]).encode()).hexdigest()


def file_digest(path: str) -> str:
    """Return the SHA-256 of a file; empty when it does not exist."""
    if not os.path.isfile(path):
        return ""
    with open(path, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()
