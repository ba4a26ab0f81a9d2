# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""A cache that huggingface_hub filled on this host, read and never written."""

from __future__ import annotations

import json
import os
import re
import typing as t

from .errors import HubError
from .snapshot import File

_COMMIT = re.compile(r"^[0-9a-f]{40}$")


def is_commit(revision: str) -> bool:
    """Return whether a revision is a whole commit, which never changes."""
    return bool(_COMMIT.match(revision))


class Cache:
    """The directory that ``hf download --cache-dir`` fills, for one repository."""

    def __init__(self, folder: str, repository: str) -> None:
        self.folder = os.path.join(folder, "models--" + repository.replace("/", "--"))
        self.repository = repository

    def _remedy(self, revision: str) -> str:
        return (
            f"fill it on a connected host with: hf download {self.repository} --revision {revision} "
            "--cache-dir DIR, and bring it here as it is"
        )

    def resolve(self, revision: str) -> str:
        """Return the commit that a revision was when the cache was filled; HubError when it does not know."""
        if is_commit(revision):
            return revision
        path = os.path.join(self.folder, "refs", revision)
        try:
            with open(path, encoding="ascii") as stream:
                commit = stream.read(100).strip()
        except (OSError, ValueError):
            commit = ""
        if not is_commit(commit):
            raise HubError(
                f"cache_dir does not know revision {revision!r} ({path}); {self._remedy(revision)}"
            )
        return commit

    def listing(self, commit: str) -> list[File]:
        """Return every file of a commit as the Hub listed it; HubError when the listing is not kept."""
        path = os.path.join(self.folder, "trees", f"{commit}.json")
        try:
            with open(path, encoding="utf-8") as stream:
                entries: dict[str, t.Any] = json.load(stream)["files"]
            return [
                File(
                    name,
                    int(one["size"]),
                    f"sha256:{one['lfs_sha256']}" if one.get("lfs_sha256") else f"git:{one['blob_id']}",
                )
                for name, one in entries.items()
            ]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise HubError(
                f"cache_dir has no usable listing of commit {commit} ({path}: {error}); "
                f"{self._remedy(commit)}"
            ) from error

    def path(self, name: str, commit: str) -> str:
        """Return where a file lies in the cache when it does."""
        return os.path.join(self.folder, "snapshots", commit, name)
