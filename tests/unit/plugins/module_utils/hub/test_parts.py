# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Messages, waits, and the small parts of the client and the download."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.hub import client, download, errors
from ansible_collections.private_ai.chatbot.plugins.module_utils.hub.cache import Cache, is_commit
from ansible_collections.private_ai.chatbot.plugins.module_utils.hub.errors import About, HubError
from ansible_collections.private_ai.chatbot.plugins.module_utils.hub.snapshot import File
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.watch import Progress

ANYBODY = About("https://hub.example.com", "acme/model", "main", False)
READER = ANYBODY._replace(has_token=True)


@pytest.mark.parametrize(
    "status, code, about, name, parts",
    [
        (
            401,
            "GatedRepo",
            ANYBODY,
            "x",
            ["is gated (said)", "https://hub.example.com/acme/model", "token_file"],
        ),
        (403, "GatedRepo", READER, "x", ["has no access yet (said)", "accept its conditions at https://hub"]),
        (401, "RepoNotFound", ANYBODY, None, ["not found (401)", "needs token or token_file"]),
        (404, "RepoNotFound", READER, None, ["not found (404)", "may have no access"]),
        (401, "", READER, None, ["refuses the token (401) (said)", "/settings/tokens"]),
        (404, "RevisionNotFound", ANYBODY, None, ["no revision 'main'", "40 hexadecimal digits"]),
        (404, "EntryNotFound", ANYBODY, "a.json", ["a.json is listed in acme/model at", "not there (404)"]),
        (403, "", ANYBODY, None, ["refuses access (403) (said)"]),
        (416, "", ANYBODY, "a.json", ["a.json of acme/model at", "is shorter than the Hub lists"]),
        (429, "", ANYBODY, None, ["limits the rate (429) (said)", "give a token"]),
        (500, "", ANYBODY, None, ["answers 500 (said)", "what was fetched so far is kept"]),
        (400, "", ANYBODY, None, ["answers 400 (said)", "check endpoint, repository and revision"]),
    ],
)
def test_explained(status: int, code: str, about: About, name: str | None, parts: list[str]) -> None:
    message = errors.explain(status, code, "said", about, name)
    assert all(part in message for part in parts), message


def test_unreachable() -> None:
    assert "check the network, endpoint and proxy" in errors.unreachable(ANYBODY, "refused")
    assert "(ca_bundle)" in errors.unreachable(ANYBODY, "[SSL: CERTIFICATE_VERIFY_FAILED] self-signed")


@pytest.mark.parametrize(
    "headers, seconds",
    [
        ({}, None),
        ({"Retry-After": "7"}, 7),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, None),
        ({"RateLimit": '"api";r=0;t=55'}, 55),
        ({"RateLimit": '"api"; r=0; t=55', "Retry-After": "7"}, 55),
        ({"RateLimit": '"api";r=10;t=55'}, None),
    ],
)
def test_waiting_time(headers: dict[str, str], seconds: float | None) -> None:
    assert errors.waiting_time(headers) == seconds


def test_pauses() -> None:
    assert [client.pause(attempt, None) for attempt in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    assert client.pause(0, 299) == 299.5
    with pytest.raises(HubError, match=r"asks to wait 301 s, at most 300 s"):
        client.pause(0, 301)


def test_secrets_and_addresses() -> None:
    assert errors.without_secrets("a key b", ["key", ""]) == "a ******** b"
    assert errors.plain_url("https://me:word@cdn.example.com:8443/a/b?X-Amz-Signature=1#x") == (
        "https://cdn.example.com:8443/a/b"
    )


def test_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    assert client.endpoint_of(None) == "https://huggingface.co"
    assert client.endpoint_of("https://hub.example.com/hf/") == "https://hub.example.com/hf"
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror.example.com")
    assert client.endpoint_of(None) == "http://mirror.example.com"
    for wrong in ("hub.example.com", "ftp://hub", "https://", "https://me:word@hub.example.com"):
        with pytest.raises(ValueError, match="an address such as") as refused:
            client.endpoint_of(wrong)
        assert "word" not in str(refused.value)


@pytest.mark.parametrize(
    "endpoint, readable",
    [
        ("https://hub", False),
        ("http://hub", True),
        ("http://127.0.0.1:80", False),
        ("http://localhost", False),
    ],
)
def test_unprotected(endpoint: str, readable: bool) -> None:
    assert client.is_unprotected(endpoint) is readable


def listed(size: int = 7, blob: str = "a" * 40, lfs: tuple[int, str] | None = None) -> Any:
    found = SimpleNamespace(size=lfs[0], sha256=lfs[1]) if lfs else None
    return SimpleNamespace(path="x", size=size, blob_id=blob, lfs=found)


def test_listed_files() -> None:
    assert client._file_of(listed()) == File("x", 7, "git:" + "a" * 40)
    assert client._file_of(listed(lfs=(7, "b" * 64))) == File("x", 7, "sha256:" + "b" * 64)
    for wrong, message in (
        (listed(lfs=(8, "b" * 64)), "with 7 and with 8 bytes"),
        (listed(size=-1), "with -1 bytes"),
        (listed(blob="../../x"), "checksum '../../x', which is none"),
        (listed(lfs=(7, "B" * 64)), "which is none"),
    ):
        with pytest.raises(HubError, match=message):
            client._file_of(wrong)


@pytest.mark.parametrize(
    "status, header, first",
    [(200, "", 0), (206, "bytes 5-9/10", 5), (200, "bytes 5-9/10", 0), (206, "", 0), (206, "bytes */10", 0)],
)
def test_first_byte(status: int, header: str, first: int) -> None:
    assert client._first_byte(status, header) == first


def test_digests() -> None:
    data = b"hello\n"
    small = File("x", 6, "git:ce013625030ba8dba906f756967f9e9ca394464a")  # git hash-object
    large = File("x", 6, "sha256:" + hashlib.sha256(data).hexdigest())
    for file in (small, large):
        digest = download.Digest(file)
        digest.update(b"something else")
        digest.restart()
        digest.update(data[:2])
        digest.update(data[2:])
        assert digest.identity() == file.identity


@pytest.mark.parametrize(
    "size, text",
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (3_554_214_621, "3.6 GB"), (10**13, "10000.0 GB")],
)
def test_readable(size: int, text: str) -> None:
    assert download.readable(size) == text


def test_staging(tmp_path: Path) -> None:
    staging = download.Staging(str(tmp_path / "staging"))
    one, two = File("one", 4, "sha256:" + "1" * 64), File("two", 4, "git:" + "2" * 40)
    staging.prepare([one, two])
    assert (tmp_path / "staging").stat().st_mode & 0o777 == 0o700
    assert staging.missing(one) == 4 and not staging.has(one)
    Path(staging.part(one)).write_bytes(b"abc")
    Path(staging.part(two)).write_bytes(b"too long")
    assert staging.missing(one) == 1 and staging.missing(two) == 4
    Path(staging.blob(one)).write_bytes(b"abcd")
    assert staging.has(one) and staging.missing(one) == 0
    staging.prepare([one])
    assert not Path(staging.part(two)).exists() and Path(staging.blob(one)).exists()


def test_full_disk(tmp_path: Path) -> None:
    class Full:
        name = str(tmp_path / "x")

        def write(self, block: memoryview) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ValueError, match=r"is full .* free.; make room, then run it again"):
        download.write_all(Full(), b"x")


def test_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(download.time, "monotonic", lambda: clock[0])
    counter = download.Counter(Progress(str(tmp_path / "progress"), "snapshot"), 4000)
    counter.add(1000)
    counter.tell()
    clock[0] += download.HEARTBEAT
    counter.tell()
    line = "snapshot: 1.0 kB of 4.0 kB (25 %), 66 B/s, about 45 s left"
    assert (tmp_path / "progress").read_text().startswith(line)


def test_cache(tmp_path: Path) -> None:
    commit = "d" * 40
    cache = Cache(str(tmp_path), "acme/model")
    assert cache.folder == str(tmp_path / "models--acme--model")
    assert is_commit(commit) and not is_commit("main") and not is_commit("D" * 40)
    assert cache.resolve(commit) == commit
    with pytest.raises(
        HubError, match=r"does not know revision 'main'.*hf download acme/model --revision main"
    ):
        cache.resolve("main")
    with pytest.raises(HubError, match=f"no usable listing of commit {commit}"):
        cache.listing(commit)
    (tmp_path / "models--acme--model/refs").mkdir(parents=True)
    (tmp_path / "models--acme--model/refs/main").write_text(commit)
    (tmp_path / "models--acme--model/trees").mkdir()
    tree = (
        '{"files": {"a": {"size": 1, "blob_id": "x"}, "b": {"size": 2, "blob_id": "y", "lfs_sha256": "z"}}}'
    )
    (tmp_path / f"models--acme--model/trees/{commit}.json").write_text(tree)
    assert cache.resolve("main") == commit
    assert cache.listing(commit) == [File("a", 1, "git:x"), File("b", 2, "sha256:z")]
