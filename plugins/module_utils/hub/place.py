# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Building a snapshot beside its destination."""

from __future__ import annotations

import errno
import os
import shutil
import typing as t

from ..directories import Places, sync_path
from .snapshot import FILE_MODE, FOLDER_MODE, MANIFEST, Snapshot, to_json

#: What says that a file system has no links, or no more of them.
_NO_LINKS = (errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


def assemble(places: Places, wanted: Snapshot, sources: t.Mapping[str, str]) -> None:
    """Build the snapshot in the staging directory.

    :param sources: path of each file's content by its identity; contents are linked, so nothing is copied.
    """
    tree = places.tree
    if os.path.lexists(tree):
        shutil.rmtree(tree)
    folders = {tree}
    os.makedirs(tree)
    used: set[str] = set()
    times = {}
    for file in wanted.files:
        path = os.path.join(tree, file.name)
        folder = os.path.dirname(path)
        os.makedirs(folder, exist_ok=True)
        while folder != tree:
            folders.add(folder)
            folder = os.path.dirname(folder)
        source = sources[file.identity]
        # A second name of the same content gets its own: changing one must not change the other.
        if source in used or not _linked(source, path):
            shutil.copyfile(source, path)
            sync_path(path)
        used.add(source)
        os.chmod(path, FILE_MODE)
        times[file.name] = os.stat(path).st_mtime_ns
    record = os.path.join(tree, MANIFEST)
    with open(record, "xb") as stream:
        stream.write(to_json(wanted, times))
        stream.flush()
        os.fchmod(stream.fileno(), FILE_MODE)
        os.fsync(stream.fileno())
    for folder in sorted(folders, reverse=True):
        os.chmod(folder, FOLDER_MODE)
        sync_path(folder)


def _linked(source: str, path: str) -> bool:
    try:
        os.link(source, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return False
    return True
