"""What the stand-in Hub serves: repositories of files with the checksums that the real one would list.

A stand-in, for tests only. Small text files are kept "in Git" (named by Git's SHA-1), others "by LFS" (named
by SHA-256), as on the real Hub. A file can be made to lie or to fail; see Faults.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

GIT_LIMIT = 100_000
TEXT = (".json", ".md", ".txt", ".jinja", ".gitattributes")


@dataclass
class Faults:
    """How a file, or the API of a repository, misbehaves; counted ones come right afterwards."""

    cut_after: int | None = None  # close the connection after so many bytes of an answer
    cuts: int = 1_000_000  # how many answers are cut
    status: int = 0  # answer this instead
    statuses: int = 1_000_000  # how many times
    headers: dict[str, str] = field(default_factory=dict)  # of that answer
    no_ranges: bool = False  # answer 200 with everything
    wrong_range: int = 0  # begin so many bytes too late
    endless: int = 0  # send so many bytes too many
    rate: float = 0  # bytes a second
    stall_after: int | None = None  # send so many bytes, then nothing more
    listed_size: int | None = None  # list another size
    listed_checksum: str | None = None  # list another checksum
    flipped: bool = False  # send the content with its first byte changed
    unlisted_length: bool = False  # no Content-Length


@dataclass
class Entry:
    """One file of a commit."""

    name: str
    content: bytes = field(repr=False)
    lfs: bool
    faults: Faults = field(default_factory=Faults)

    @cached_property
    def git(self) -> str:
        """Git's name of the content, or of the LFS pointer to it."""
        data = self.content
        if self.lfs:
            pointer = (
                f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(data)}\n"
            )
            data = pointer.encode()
        return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the content."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def etag(self) -> str:
        """What the Hub calls the content."""
        return self.sha256 if self.lfs else self.git

    def listed(self) -> dict[str, object]:
        """The entry of the listing, truthful or not."""
        size = len(self.content) if self.faults.listed_size is None else self.faults.listed_size
        listed: dict[str, object] = {"type": "file", "path": self.name, "size": size, "oid": self.git}
        lie = self.faults.listed_checksum
        if self.lfs:
            listed["lfs"] = {"oid": lie or self.sha256, "size": size, "pointerSize": 134}
            listed["xetHash"] = "0" * 64
        elif lie:
            listed["oid"] = lie
        return listed


@dataclass
class Repository:
    """A repository: commits, branches, who may read it."""

    name: str
    commits: dict[str, dict[str, Entry]] = field(default_factory=dict, repr=False)
    refs: dict[str, str] = field(default_factory=dict)
    gated: bool = False
    private: bool = False
    readers: set[str] = field(default_factory=set)  # tokens with access
    faults: Faults = field(default_factory=Faults)  # of the API

    def commit(
        self,
        files: dict[str, bytes],
        branch: str = "main",
        lfs: set[str] | None = None,
        name: str | None = None,
    ) -> str:
        """Add a commit, make it the branch's and return its name, which is made up unless given."""
        entries = {}
        for path, content in files.items():
            large = path in lfs if lfs is not None else not path.endswith(TEXT) or len(content) > GIT_LIMIT
            entries[path] = Entry(path, content, large)
        listing = json.dumps([[entry.name, entry.etag] for entry in entries.values()])
        made_up = hashlib.sha1(f"{len(self.commits)} {listing}".encode(), usedforsecurity=False)
        commit = name or made_up.hexdigest()
        self.commits[commit] = entries
        self.refs[branch] = commit
        return commit

    def resolve(self, revision: str) -> str | None:
        """The commit of a branch, tag or commit."""
        return self.refs.get(revision) or (revision if revision in self.commits else None)

    def file(self, name: str, revision: str = "main") -> Entry:
        """A file of a commit, to look at or to spoil."""
        commit = self.resolve(revision)
        assert commit is not None
        return self.commits[commit][name]


def from_directory(name: str, folder: Path) -> Repository:
    """A repository with one commit: the files of a directory."""
    repository = Repository(name)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    repository.commit({path.relative_to(folder).as_posix(): path.read_bytes() for path in paths})
    return repository
