# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Pure functions around secrets: generating one, and telling whether one changed without keeping it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import typing as t

from .client import MANAGED_LABEL

#: Label of a podman secret with the digest of its data.
DIGEST_LABEL = MANAGED_LABEL + ".digest"

_SCHEME = "pbkdf2-sha256"
#: About 0.1 s: unnoticed once per run, and enough that a guessable password is not read off the label.
_ROUNDS = 200_000
_SALT_BYTES = 8


def label_args(labels: dict[str, str], create_help: str) -> list[str]:
    """Return the options of ``podman secret create`` that keep ``labels``.

    Podman 3.4 has no labels for secrets; the options of its driver for files, which reads only those that it
    knows, carry them there.

    :param create_help: what ``podman secret create --help`` says.
    """
    option = "--label" if "--label" in create_help else "--driver-opts"
    return [f"{option}={name}={value}" for name, value in labels.items()]


def labels_of(found: t.Mapping[str, t.Any] | None) -> dict[str, str]:
    """Return what ``label_args`` gave to an inspected secret."""
    spec = (found or {}).get("Spec") or {}
    return {**((spec.get("Driver") or {}).get("Options") or {}), **(spec.get("Labels") or {})}


def generate_secret(size: int = 32) -> str:
    """Return ``size`` random bytes as text that is safe in URLs and headers (43 characters for 32)."""
    return base64.urlsafe_b64encode(os.urandom(size)).rstrip(b"=").decode("ascii")


def make_digest(data: str, salt: bytes | None = None, rounds: int = _ROUNDS) -> str:
    """Return ``scheme$rounds$salt$digest`` of the data, with a new salt unless one is given."""
    salt = os.urandom(_SALT_BYTES) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha256", data.encode("utf-8"), salt, rounds)
    return f"{_SCHEME}${rounds}${salt.hex()}${digest.hex()}"


def matches(data: str, digest: str) -> bool:
    """Return whether ``digest`` was made of ``data``; False too when it cannot be read."""
    try:
        scheme, rounds, salt, _value = digest.split("$")
        if scheme != _SCHEME:
            return False
        again = make_digest(data, bytes.fromhex(salt), int(rounds))
    except ValueError:
        return False
    return hmac.compare_digest(again, digest)
