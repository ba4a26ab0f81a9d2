# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Options of a download that make sense, and secrets among them."""

from __future__ import annotations

import re
import typing as t
from urllib.parse import urlsplit

from .snapshot import Snapshot

_REPOSITORY = re.compile(r"^[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9_][\w.-]{0,95})?$")
_SHA256 = re.compile(r"^[0-9a-fA-F]{64}$")

#: (option, least, most)
LIMITS = (("max_workers", 1, 16), ("timeout", 1, 3600), ("retries", 0, 100), ("lock_timeout", 0, 86400))


def check_options(params: dict[str, t.Any]) -> None:
    """Raise ValueError for a value that cannot be used."""
    for name, least, most in LIMITS:
        if not least <= params[name] <= most:
            raise ValueError(f"{name} is {params[name]}; {least} to {most} is expected")
    if not _REPOSITORY.match(params["repository"]):
        raise ValueError(f"repository is {params['repository']!r}; owner/name is expected")
    revision = params["revision"]
    if (
        not revision
        or ".." in revision
        or revision.startswith("/")
        or re.search(r"[\s\x00-\x1f\x7f\\?#]", revision)
    ):
        raise ValueError(f"revision is {revision!r}; a commit, branch or tag is expected")
    for name, digest in (params["expected"] or {}).items():
        if not _SHA256.match(str(digest)):
            raise ValueError(f"expected has {digest!r} for {name}; 64 hexadecimal digits are expected")


def read_token(params: dict[str, t.Any]) -> str | None:
    """Return the token, from the option or the file; ValueError when it cannot be one."""
    token, path = params["token"], params["token_file"]
    if path:
        try:
            with open(path, encoding="ascii") as stream:
                token = stream.read(1024).strip()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it holds more than a token"
            raise ValueError(
                f"token_file {path!r} cannot be read: {reason}; it has to hold the token alone, for the user "
                "that Ansible works as"
            ) from error
    if token is None:
        return None
    if not re.match(r"^[\x21-\x7e]{3,512}$", token):
        raise ValueError(
            f"the token from {'token_file' if path else 'token'} has {len(token)} characters and is none: "
            "printable characters without spaces, on one line, are expected"
        )
    return token


def secrets_of(token: str | None, proxy: str | None) -> list[str]:
    """Return what must never be shown."""
    password = urlsplit(proxy).password if proxy else None
    return [secret for secret in (token, password) if secret]


def shown(snapshot: Snapshot, path: str) -> dict[str, t.Any]:
    """Return the snapshot as the result has it."""
    return {
        "repository": snapshot.repository,
        "revision": snapshot.revision,
        "commit": snapshot.commit,
        "path": path,
        "size": sum(file.size for file in snapshot.files),
        "left_out": list(snapshot.left_out),
        "files": [
            {"name": file.name, "size": file.size, "sha256": snapshot.sha256.get(file.name)}
            for file in snapshot.files
        ],
    }
