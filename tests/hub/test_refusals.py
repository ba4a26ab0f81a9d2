"""What the Hub refuses, lies about, or tries: a clear message, the old snapshot, and nothing outside."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hub.harness import NAME, Repository, Runner, StandInHub, tree

TOKEN = "hf_token-of-the-test"


def access(repository: Repository, how: str) -> None:
    if how != "unknown":
        setattr(repository, how, True)
        repository.readers.add(TOKEN)


@pytest.mark.parametrize(
    "how, token, parts",
    [
        ("gated", None, ["is gated", "accept its conditions at http://127.0.0.1:", "token or token_file"]),
        ("gated", "other", ["is gated", "the token's account has no access yet", "accept its conditions"]),
        (
            "private",
            None,
            ["acme/model at http://127.0.0.1:", "not found (401)", "needs token or token_file"],
        ),
        ("private", "other", ["was not found (404)", "the token's account may have no access"]),
        ("private", "wrong", ["refuses the token (401)", "Invalid credentials", "/settings/tokens"]),
    ],
)
def test_no_access(
    run: Runner, repository: Repository, how: str, token: str | None, parts: list[str]
) -> None:
    access(repository, how)
    for check in (False, True):
        message = run.refused(check=check, token=token)
        assert all(part in message for part in parts), message
    assert not run.dest.exists() and run.sent() == 0


@pytest.mark.parametrize("how", ["gated", "private"])
def test_access(run: Runner, repository: Repository, files: dict[str, bytes], how: str) -> None:
    access(repository, how)
    assert run(token=TOKEN)["changed"] and tree(run.dest) == files


@pytest.mark.parametrize(
    "options, parts",
    [
        ({"repository": "acme/none"}, ["acme/none at http", "not found (401)", "spelling (owner/name)"]),
        (
            {"revision": "v9"},
            ["acme/model has no revision 'v9'", "commit (40 hexadecimal digits), branch or tag"],
        ),
        ({"revision": "0" * 40}, ["has no revision '0000"]),
        ({"revision": "../main"}, ["revision is '../main'"]),
        ({"repository": "a/b/c"}, ["repository is 'a/b/c'; owner/name"]),
        ({"repository": "a--b/c..d"}, ["repository is 'a--b/c..d'"]),
        ({"endpoint": "ftp://example.com"}, ["endpoint is 'ftp://example.com'"]),
        (
            {"endpoint": "http://127.0.0.1:9", "retries": 0},
            ["cannot be reached", "check the network, endpoint and proxy"],
        ),
        ({"max_workers": 0}, ["max_workers is 0; 1 to 16"]),
        ({"expected": {"config.json": "abc"}}, ["expected has 'abc' for config.json; 64 hexadecimal"]),
        ({"expected": {"none.json": "0" * 64}}, ["expected names 'none.json'"]),
        (
            {"expected": {"model.safetensors": "0" * 64}},
            ["model.safetensors of acme/model", "expected is 0000"],
        ),
        ({"expected": {"config.json": "0" * 64}}, ["config.json of acme/model", "expected is 0000"]),
        ({"ca_bundle": "/nowhere.pem"}, ["ca_bundle is '/nowhere.pem', which is not a file"]),
        ({"token_file": "/nowhere"}, ["token_file '/nowhere' cannot be read"]),
        ({"token": "two words"}, ["the token from token has 9 characters and is none"]),
        ({"offline": True}, ["offline=true, dest holds nothing", "give one that holds it"]),
    ],
)
def test_options_that_cannot_work(run: Runner, options: dict[str, Any], parts: list[str]) -> None:
    message = run.refused(**options)
    assert all(part in message for part in parts), message
    assert "two words" not in message and not run.dest.exists()


def test_expected_fits(run: Runner, repository: Repository, hub: StandInHub) -> None:
    expected = {name: repository.file(name).sha256.upper() for name in ("model.safetensors", "config.json")}
    assert run(expected=expected)["changed"] and not run(expected=expected)["changed"]
    commit = repository.resolve("main")
    hub.stats.clear()
    message = run.refused(expected={"model.safetensors": "0" * 64}, revision=commit)
    assert "expected is 0000" in message and hub.stats.requests == []


def test_known_wrong_checksum_costs_nothing(run: Runner) -> None:
    run.refused(expected={"model.safetensors": "0" * 64})
    assert run.sent() == 0


HOSTILE = [
    ("../outside.json", "leads out of the directory"),
    ("/etc/outside.json", "is an absolute path"),
    ("..\\outside.json", "holds a backslash"),
    ("new\nline.json", "holds a control character"),
    (".snapshot.json", "is the name that this collection's own record has"),
    ("config.json/inner.json", "is a file and a directory at once"),
]


@pytest.mark.parametrize("name, why", HOSTILE)
def test_hostile_names(
    run: Runner, repository: Repository, files: dict[str, bytes], name: str, why: str
) -> None:
    run()
    before = sorted(path for path in run.folder.rglob("*"))
    repository.commit({**files, name: b"{}"}, "hostile")
    for check in (True, False):
        message = run.refused(check=check, revision="hostile")
        assert "cannot be trusted" in message and why in message and "nothing was fetched" in message
    assert sorted(path for path in run.folder.rglob("*")) == before and tree(run.dest) == files


def test_hostile_name_that_is_left_out(run: Runner, repository: Repository, files: dict[str, bytes]) -> None:
    repository.commit({**files, "../outside.json": b"{}"}, "hostile")
    assert run(revision="hostile", ignore_patterns=["../*"])["changed"] and tree(run.dest) == files


def test_links_of_the_repository_are_files(run: Runner, repository: Repository) -> None:
    """Git keeps a link as a file that holds its target; here it stays one."""
    repository.commit({"model.gguf": b"GGUF", "passwords.txt": b"/etc/passwd"}, "links")
    run(revision="links")
    assert (run.dest / "passwords.txt").read_bytes() == b"/etc/passwd"
    assert not (run.dest / "passwords.txt").is_symlink()


LIES: list[tuple[str, dict[str, Any], str]] = [
    ("model.safetensors", {"flipped": True}, "came with checksum sha256:"),
    ("config.json", {"flipped": True}, "came with checksum git:"),
    ("model.safetensors", {"listed_checksum": "0" * 64}, "the Hub lists sha256:0000"),
    ("config.json", {"listed_checksum": "0" * 40}, "the Hub lists git:0000"),
    ("config.json", {"listed_checksum": "../../evil"}, "checksum '../../evil', which is none"),
    ("model.safetensors", {"listed_checksum": "ABC"}, "checksum 'ABC', which is none"),
    ("model.safetensors", {"listed_size": 5_000_000}, "does not end after the 5000000 bytes"),
    ("model.safetensors", {"endless": 100_000}, "does not end after the 6000000 bytes"),
    (
        "model.safetensors",
        {"endless": 100_000, "unlisted_length": True},
        "does not end after the 6000000 bytes",
    ),
    ("model.safetensors", {"listed_size": 6_000_001}, "is shorter than the Hub lists"),
    ("model.safetensors", {"listed_size": -1}, "with -1 bytes"),
    (
        "model.safetensors",
        {"cut_after": 1_000_000, "cuts": 1, "wrong_range": 5},
        "comes from byte 1000005 on",
    ),
]


@pytest.mark.parametrize("name, faults, why", LIES)
def test_lies(
    run: Runner, repository: Repository, files: dict[str, bytes], name: str, faults: dict[str, Any], why: str
) -> None:
    """The old snapshot stays, and what does not fit is thrown away."""
    run()
    newer = {**files, "config.json": b'{"a": 1}', "model.safetensors": files["model.safetensors"][::-1]}
    repository.commit(newer)
    for fault, value in faults.items():
        setattr(repository.file(name).faults, fault, value)
    message = run.refused(retries=1)
    assert name in message and why in message, message
    assert tree(run.dest) == files
    for fault in faults:
        setattr(repository.file(name).faults, fault, getattr(type(repository.file(name).faults)(), fault))
    assert run()["changed"] and tree(run.dest) == newer


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("where", ["api", "file"])
def test_trouble_that_passes(
    run: Runner, repository: Repository, files: dict[str, bytes], status: int, where: str
) -> None:
    faults = repository.faults if where == "api" else repository.file("model.safetensors").faults
    faults.status, faults.statuses = status, 1
    faults.headers = {"Retry-After": "0"} if status == 429 else {}
    assert run()["changed"] and tree(run.dest) == files


@pytest.mark.parametrize(
    "status, headers, parts",
    [
        (503, {}, ["answers 503 (Service unavailable)", "try again later"]),
        (429, {"Retry-After": "0"}, ["still limits the rate (429)", "or give a token"]),
        (429, {"Retry-After": "4000"}, ["asks to wait 4000 s, at most 300 s are waited"]),
        (429, {"RateLimit": '"api";r=0;t=900'}, ["asks to wait 900 s, at most 300 s are waited"]),
        (403, {}, ["refuses access (403) (Forbidden)", "the token needs read access"]),
    ],
)
@pytest.mark.parametrize("where", ["api", "file"])
def test_trouble_that_stays(
    run: Runner, repository: Repository, status: int, headers: dict[str, str], parts: list[str], where: str
) -> None:
    faults = repository.faults if where == "api" else repository.file("model.safetensors").faults
    faults.status, faults.headers = status, headers
    message = run.refused(retries=1)
    assert all(part in message for part in parts), message
    assert not run.dest.exists()


def test_something_that_is_no_hub(run: Runner, repository: Repository) -> None:
    repository.refs["main"] = "not-a-commit"
    repository.commits["not-a-commit"] = {}
    assert "is 'not-a-commit', which is no commit" in run.refused()
    assert repository.name == NAME
