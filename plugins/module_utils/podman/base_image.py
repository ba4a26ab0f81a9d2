# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Where a base image can come from: pure decisions, and the one question asked of a registry."""

from __future__ import annotations

import hashlib
import http.client
import os
import socket
import ssl
import typing as t
import urllib.error

from ansible.module_utils.urls import open_url

from ..files import sha256_of

#: Docker Hub's name in image references, and where it answers.
_HUB = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}

REMEDY = (
    "Remedy: name an image that can be pulled (option image), "
    "or make one on a Debian or Ubuntu host and load it here (podman save, podman load)"
)


def registry_of(reference: str) -> str:
    """Return the host (and port) that an image reference is pulled from."""
    first = reference.split("/", 1)[0]
    if "/" not in reference or not ("." in first or ":" in first or first == "localhost"):
        return "registry-1.docker.io"
    return _HUB.get(first, first)


def hosts_of(reference: str, registries: t.Mapping[str, t.Any]) -> list[str]:
    """Return the hosts that podman would ask for an image, its mirrors first; none when it is blocked.

    :param registries: ``podman info --format '{{json .Registries}}'``, the contents of registries.conf.
    """
    entries = [entry for entry in registries.values() if isinstance(entry, dict)]
    fitting = [entry for entry in entries if _under(reference, entry.get("Prefix") or "")]
    if not fitting:
        return [registry_of(reference)]
    entry = max(fitting, key=lambda one: len(one["Prefix"]))
    if entry.get("Blocked"):
        return []
    # Without a location the reference itself says where.
    places = [mirror.get("Location", "") for mirror in entry.get("Mirrors") or []]
    places.append(entry.get("Location") or reference)
    return list(dict.fromkeys(registry_of(f"{place}/") for place in places if place))


def _under(reference: str, prefix: str) -> bool:
    if prefix.startswith("*."):
        return reference.split("/", 1)[0].split(":")[0].endswith(prefix[1:])
    return (
        bool(prefix) and reference.startswith(prefix) and reference[len(prefix) :][:1] in ("", "/", ":", "@")
    )


def registry_answers(host: str, timeout: float = 8.0) -> str:
    """Return an empty string when a registry answers at ``host``, otherwise why not.

    Asked before ``podman pull``, which would try for minutes where packets are dropped. Proxies of the
    environment are used. A host that answers without TLS or with a certificate of its own counts as one that
    answers: what podman accepts is in its registries.conf.

    :param timeout: seconds for each step of the connection.
    """
    url = f"https://{host}/v2/"
    try:
        answer = open_url(url, timeout=timeout)
        answer.close()
        return "" if answer.status == 200 else f"{url} answered {answer.status}"
    except urllib.error.HTTPError as error:
        # A registry that wants a login first is there.
        return "" if error.code == 401 else f"{url} answered {error.code}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLError):
            return ""
        if isinstance(reason, socket.timeout):
            return f"{url} did not answer within {timeout:g} s"
        return f"{url}: {reason or type(reason).__name__}"


def os_release(text: str) -> dict[str, str]:
    """Return the values of an os-release file."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            quoted = len(value) > 1 and value[0] in "\"'" and value[-1] == value[0]
            values[name] = value[1:-1] if quoted else value
    return values


def host_release(paths: t.Sequence[str] = ("/etc/os-release", "/usr/lib/os-release")) -> dict[str, str]:
    """Return what this host says of itself; empty when it says nothing."""
    for path in paths:
        if os.path.isfile(path):
            with open(path, encoding="utf-8", errors="replace") as stream:
                return os_release(stream.read())
    return {}


def can_bootstrap(release: t.Mapping[str, str]) -> bool:
    """Return whether this host is a Debian or Ubuntu (or says that it is like one)."""
    return bool({"debian", "ubuntu"} & set(f"{release.get('ID', '')} {release.get('ID_LIKE', '')}".split()))


def inputs_digest(kind: str, *values: str) -> str:
    """Return the checksum kept in the image's label."""
    return hashlib.sha256("\0".join([kind, *values]).encode()).hexdigest()


def file_digest(path: str) -> str:
    """Return the SHA-256 of a file; empty when it does not exist."""
    return sha256_of(path) if os.path.isfile(path) else ""
