# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""From what lies at a destination to what is wanted there: where that comes from, its size, doing it."""

from __future__ import annotations

import errno
import os
import typing as t

from ..directories import Places, clear, put_in_place
from ..files import sha256_of
from ..podman.watch import Progress
from .cache import Cache, is_commit
from .client import Hub, Settings, matching
from .download import Counter, Fetcher, Staging, copy_cached, disk_full, free_bytes, readable
from .errors import HubError
from .place import assemble
from .snapshot import (
    File,
    Found,
    Selection,
    Snapshot,
    check_expected,
    checksums_of,
    choose,
    different,
    known_snapshot,
)


class Source:
    """What is wanted, and who can say what that is; the Hub is only asked when nobody nearer knows."""

    def __init__(
        self,
        settings: Settings,
        repository: str,
        revision: str,
        selection: Selection,
        expected: t.Mapping[str, str],
        cache_dir: str | None = None,
        offline: bool = False,
        said: t.Callable[[str], None] = lambda text: None,
    ) -> None:
        self.settings, self.said = settings, said
        self.repository, self.revision, self.selection = repository, revision, selection
        self.expected, self.offline = expected, offline
        self.cache = Cache(cache_dir, repository) if cache_dir else None
        self._hub: Hub | None = None

    def hub(self) -> Hub:
        """Return the connection; the library is only needed from here on."""
        if self._hub is None:
            self._hub = Hub(self.settings, self.repository, self.revision, self.said)
        return self._hub

    def snapshot(self, found: Found) -> Snapshot:
        """Return what is wanted; HubError or ValueError when that cannot be known or must not be."""
        wanted = known_snapshot(found, self.repository, self.revision, self.selection, self.offline)
        if wanted is None:
            commit = self._commit(found)
            wanted = known_snapshot(found, self.repository, commit, self.selection, False)
        if wanted is None:
            listed = (self.cache if self.offline and self.cache else self.hub()).listing(commit)
            files, left_out = choose(listed, self.selection, lambda names: matching(names, self.selection))
            wanted = Snapshot(self.repository, self.revision, commit, self.selection, files, left_out)
        wanted = wanted._replace(revision=self.revision, sha256=checksums_of(wanted, found))
        check_expected(wanted, self.expected)
        return wanted

    def _commit(self, found: Found) -> str:
        if not self.offline:
            return self.revision if is_commit(self.revision) else self.hub().resolve()
        if self.cache is None:
            there = (
                f"commit {found.snapshot.commit} of {found.snapshot.repository}"
                if found.snapshot
                else "nothing"
            )
            raise HubError(
                f"offline=true, dest holds {there} instead of {self.revision} of {self.repository} with "
                "these patterns, and no cache_dir is given; give one that holds it, or set offline=false"
            )
        return self.cache.resolve(self.revision)


class Update:
    """The way from what is found to what is wanted.

    ``fetch`` is what the Hub has to send and ``bytes`` how much of it is missing.
    """

    def __init__(self, places: Places, found: Found, source: Source, progress: Progress) -> None:
        self.places, self.found, self.source, self.progress = places, found, source, progress
        self.wanted = source.snapshot(found)
        self._difference = different(found, self.wanted)
        self.changed = self._difference.changed
        self._staging = Staging(places.staging)
        missing = [file for file in self._difference.fetch if not self._staging.has(file)]
        self._cached = [file for file in missing if self._cached_size(file) == file.size]
        self.fetch = [file for file in missing if file not in self._cached]
        self.bytes = sum(self._staging.missing(file) for file in self.fetch)
        if source.offline and self.fetch:
            raise HubError(
                f"offline=true, and {len(self.fetch)} files "
                f"({', '.join(file.name for file in self.fetch[:5])}) are neither at dest nor whole in "
                "cache_dir; bring a complete cache, or set offline=false"
            )

    def _cached_size(self, file: File) -> int:
        cache = self.source.cache
        try:
            return os.path.getsize(cache.path(file.name, self.wanted.commit)) if cache else -1
        except OSError:
            return -1

    def must_fit(self, check_mode: bool) -> None:
        """Raise ValueError when there is no room for what has to come."""
        if check_mode and not os.path.isdir(self.places.parent):
            return
        once = {file.identity: file.size for file in self.wanted.files}
        doubled = sum(file.size for file in self.wanted.files) - sum(once.values())
        needed = self.bytes + sum(file.size for file in self._cached) + doubled
        free = free_bytes(self.places.parent)
        if free < needed:
            raise ValueError(
                f"{self.places.parent} has {free} bytes free, {needed} are needed ({readable(needed)}; what "
                "is at dest stays until the new snapshot is complete); make room or choose another dest"
            )

    def check_access(self) -> None:
        """Raise HubError when the Hub would refuse the files; fetching them finds out by itself."""
        if self.fetch:
            self.source.hub().check_access(self.fetch[0].name, self.wanted.commit)

    def act(self, workers: int) -> Snapshot:
        """Bring it about; the destination changes in the last step, or not at all."""
        try:
            return self._act(workers)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise disk_full(self.places.staging) from error
            raise

    def _act(self, workers: int) -> Snapshot:
        staging, difference = self._staging, self._difference
        staging.prepare(difference.fetch)
        for file in self._cached:
            cache = t.cast("Cache", self.source.cache)
            if not copy_cached(cache.path(file.name, self.wanted.commit), file, staging):
                self._refuse_damaged_cache(file)
                self.fetch.append(file)
                self.bytes += staging.missing(file)
        if self.fetch:
            self.progress.say(f"fetching {len(self.fetch)} files, {readable(self.bytes)}")
            counter = Counter(self.progress, self.bytes)
            Fetcher(self.source.hub(), self.wanted.commit, staging, counter).all(self.fetch, workers)
        sources = {**difference.keep, **{file.identity: staging.blob(file) for file in difference.fetch}}
        known = self.wanted.sha256
        sha256 = {
            file.name: known.get(file.name) or sha256_of(sources[file.identity]) for file in self.wanted.files
        }
        whole = self.wanted._replace(sha256=sha256)
        check_expected(whole, self.source.expected)
        assemble(self.places, whole, sources)
        put_in_place(self.places)
        self.progress.say("done")
        return whole

    def _refuse_damaged_cache(self, file: File) -> None:
        if self.source.offline:
            raise HubError(
                f"{file.name} in cache_dir is not the file that the Hub listed ({file.identity}); bring a "
                "sound cache, or set offline=false"
            )

    def tidy(self) -> None:
        """Remove what a run left that was ended after its last step."""
        clear(self.places)
