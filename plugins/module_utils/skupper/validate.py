# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Checks of options that the CLI does not make, or makes too late."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from .errors import InvalidValue
from .kinds import KUBERNETES

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_DOTTED = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
#: The CLI knows hosts in small letters only.
_HOST = re.compile(r"[a-z0-9]+([-.][a-z0-9]+)*")


def name(option: str, value: str, platform: str = KUBERNETES) -> None:
    """Refuse a name that Skupper refuses; without Kubernetes it finds dots wrong, but only when it starts."""
    pattern = _DOTTED if platform == KUBERNETES else _NAMESPACE
    limit = 253 if platform == KUBERNETES else 63
    if not pattern.fullmatch(value) or len(value) > limit:
        dots = ", dots" if platform == KUBERNETES else ""
        raise InvalidValue(
            f"{option} is {value!r}; use small letters, digits{dots} and - inside, at most {limit} characters"
        )


def namespace(value: str) -> None:
    """Refuse a namespace that Skupper refuses."""
    if not _NAMESPACE.fullmatch(value) or len(value) > 63:
        raise InvalidValue(
            f"namespace is {value!r}; use small letters, digits and - inside, at most 63 characters"
        )


def port(option: str, value: int | None) -> None:
    """Refuse a port that cannot be: neither the CLI nor the API server does."""
    if value is not None and not 1 <= value <= 65535:
        raise InvalidValue(f"{option} is {value}; a port is between 1 and 65535")


def host(option: str, value: str | None) -> None:
    """Refuse what is neither an address nor a host name."""
    if value is None or _HOST.fullmatch(value):
        return
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise InvalidValue(
            f"{option} is {value!r}; write an IP address, or a host name in small letters without _"
        ) from None


def only_on(option: str, given: bool, platform: str, platforms: t.Sequence[str]) -> None:
    """Refuse an option that means nothing on this platform."""
    if given and platform not in platforms:
        raise InvalidValue(
            f"{option} is for platform {' and '.join(platforms)}, and platform is {platform}; leave it out"
        )
