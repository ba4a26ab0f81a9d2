"""The snapshot: predicted, made, kept, repaired, replaced, removed; and what each of them asks of the Hub."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path

import pytest

from tests.hub.harness import Repository, Runner, StandInHub, content, tree


def commit_of(repository: Repository, branch: str = "main") -> str:
    commit = repository.resolve(branch)
    assert commit
    return commit


def test_fresh_is_predicted_and_made(
    run: Runner, hub: StandInHub, repository: Repository, files: dict[str, bytes]
) -> None:
    predicted = run(check=True)
    assert predicted["changed"] and not run.dest.exists() and run.left() == []
    assert run.sent() == 0, "check mode fetches no file"
    # What two files share comes once, under the name of the second.
    fetched = sorted(set(files) - {"figures/one.png"})
    assert predicted["download"] == {"files": fetched, "bytes": sum(len(files[name]) for name in fetched)}
    made = run()
    assert made["changed"] and made["diff"] == predicted["diff"] and made["download"] == predicted["download"]
    assert tree(run.dest) == files and run.left() == []
    assert run.sent() == predicted["download"]["bytes"]
    snapshot = made["snapshot"]
    assert snapshot["commit"] == commit_of(repository) and snapshot["revision"] == "main"
    assert snapshot["path"] == str(run.dest) and snapshot["size"] == sum(map(len, files.values()))
    assert {one["name"]: one["sha256"] for one in snapshot["files"]} == {
        name: hashlib.sha256(data).hexdigest() for name, data in files.items()
    }
    record = json.loads((run.dest / ".snapshot.json").read_text())
    assert record["repository"] == "acme/model" and record["commit"] == snapshot["commit"]
    assert {one["name"] for one in record["files"]} == set(files)
    assert hub.url not in (run.dest / ".snapshot.json").read_text()


def test_containers_can_read_it(run: Runner) -> None:
    os.umask(0o077)
    try:
        run()
    finally:
        os.umask(0o022)
    for path in [run.dest, *run.dest.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644), path
    one, same = run.dest / "figures/one.png", run.dest / "figures/same.png"
    assert one.stat().st_ino != same.stat().st_ino and one.stat().st_nlink == 1


def test_second_run_changes_nothing(run: Runner, hub: StandInHub, repository: Repository) -> None:
    commit = commit_of(repository)
    first = run(revision=commit)
    hub.stats.clear()
    again = run(revision=commit)
    assert not again["changed"] and again["diff"]["before"] == again["diff"]["after"]
    assert again["snapshot"] == first["snapshot"] and again["download"] == {"files": [], "bytes": 0}
    assert not run(check=True, revision=commit)["changed"]
    assert hub.stats.requests == [], "a commit never changes, so nobody is asked"
    branch = run(revision="main")
    assert branch["changed"] and branch["download"]["bytes"] == 0, "the record says what was asked for"
    hub.stats.clear()
    assert not run(revision="main")["changed"]
    assert [one["path"] for one in hub.stats.requests] == ["/api/models/acme/model/revision/main"]


def test_branch_that_moved(run: Runner, repository: Repository, files: dict[str, bytes]) -> None:
    run()
    former = commit_of(repository)
    newer = {**files, "config.json": b'{"model_type": "qwen3"}', "tokenizer.json": b"{}"}
    del newer["README.md"]
    repository.commit(newer)
    before = run.sent()
    predicted, moved = run(check=True), run()
    assert predicted["changed"] and predicted["diff"] == moved["diff"]
    assert (moved["diff"]["before"]["commit"], moved["diff"]["after"]["commit"]) == (
        former,
        commit_of(repository),
    )
    assert tree(run.dest) == newer
    assert moved["download"]["files"] == ["config.json", "tokenizer.json"]
    assert run.sent() - before == 25, "what is there already is not fetched again"
    back = run(revision=former)
    assert back["changed"] and tree(run.dest) == files


def spoil(dest: Path, how: str) -> None:
    victim = dest / "model.safetensors"
    if how == "changed":
        data = victim.read_bytes()
        victim.write_bytes(b"X" + data[1:])
    elif how == "truncated":
        os.truncate(victim, 100)
    elif how == "missing":
        victim.unlink()
    elif how == "link":
        data = victim.read_bytes()
        (dest.parent / "home").mkdir()
        (dest.parent / "home/elsewhere").write_bytes(data)
        victim.unlink()
        victim.symlink_to(dest.parent / "home/elsewhere")
    elif how == "directory":
        victim.unlink()
        victim.mkdir()
    elif how == "added":
        (dest / "sub").mkdir()
        (dest / "sub" / "pytorch_model.bin").write_bytes(b"pickle")
    elif how == "mode":
        victim.chmod(0o600)
        (dest / "figures").chmod(0o700)
    elif how == "record":
        record = json.loads((dest / ".snapshot.json").read_text())
        record["files"][0]["name"] = "../../outside"
        (dest / ".snapshot.json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    "how", ["changed", "truncated", "missing", "link", "directory", "added", "mode", "record"]
)
def test_drift_is_repaired(run: Runner, repository: Repository, files: dict[str, bytes], how: str) -> None:
    commit = commit_of(repository)
    run(revision=commit)
    spoil(run.dest, how)
    before = run.sent()
    predicted, repaired = run(check=True, revision=commit), run(revision=commit)
    assert predicted["changed"] and repaired["changed"] and predicted["diff"] == repaired["diff"]
    assert repaired["diff"]["before"] != repaired["diff"]["after"]
    assert tree(run.dest) == files and not (run.dest / "model.safetensors").is_symlink()
    assert stat.S_IMODE((run.dest / "figures").stat().st_mode) == 0o755
    wanted = {"added": 0, "mode": 0, "record": sum(map(len, set(files.values())))}
    assert run.sent() - before == wanted.get(how, len(files["model.safetensors"]))
    assert not run(revision=commit)["changed"]


def test_quick_and_full(run: Runner, repository: Repository, files: dict[str, bytes]) -> None:
    """A change that leaves size and time as they were is found by reading; a new time alone is none."""
    commit = commit_of(repository)
    run(revision=commit)
    victim = run.dest / "model.safetensors"
    found = victim.stat()
    victim.write_bytes(files["model.safetensors"][:-1] + b"X")
    os.utime(victim, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert not run(revision=commit)["changed"]
    assert run(check=True, verify="full", revision=commit)["changed"]
    assert run(verify="full", revision=commit)["changed"] and tree(run.dest) == files
    os.utime(victim)
    assert not run(revision=commit)["changed"]


def test_selection(run: Runner, files: dict[str, bytes]) -> None:
    chosen = run(allow_patterns=["*.json", "figures/"], ignore_patterns=["*same*"])
    assert sorted(tree(run.dest)) == ["config.json", "figures/one.png"]
    assert not run(allow_patterns=["*.json", "figures/"], ignore_patterns=["*same*"])["changed"]
    wider = run(allow_patterns=["*.json", "figures/"])
    assert wider["changed"] and wider["download"]["bytes"] == 0 and "figures/same.png" in tree(run.dest)
    assert chosen["snapshot"]["size"] == len(files["config.json"]) + len(files["figures/one.png"])
    assert "none of the repository's 7 files is selected" in run.refused(allow_patterns=["*.gguf"])


def test_unsafe_formats(run: Runner, repository: Repository, files: dict[str, bytes]) -> None:
    commit = repository.commit({**files, "pytorch_model.bin": b"pickle", "modeling.py": b"import os"}, "old")
    careful = run(revision=commit)
    assert tree(run.dest) == files
    assert careful["snapshot"]["left_out"] == ["modeling.py", "pytorch_model.bin"]
    assert "2 files were left out for their format" in json.dumps(careful["warnings"])
    assert not run(revision=commit)["changed"]
    trusting = run(revision=commit, unsafe_formats=True)
    assert trusting["changed"] and trusting["snapshot"]["left_out"] == []
    assert tree(run.dest)["pytorch_model.bin"] == b"pickle"
    repository.commit({"config.json": b"{}", "pytorch_model.bin": b"pickle"}, "pickles")
    message = run.refused(revision="pickles")
    assert "pytorch_model.bin" in message and "unsafe_formats=true" in message
    assert tree(run.dest)["pytorch_model.bin"] == b"pickle", "what was there stays"


def test_checksums_are_remembered(run: Runner, repository: Repository, folder: Path) -> None:
    cache = folder / "home" / "checksums.json"
    cache.parent.mkdir()
    run(checksum_cache=str(cache), revision=commit_of(repository))
    known = json.loads(cache.read_text())
    digest = repository.file("model.safetensors").sha256
    assert known[str(run.dest / "model.safetensors")]["sha256"] == digest


def test_absent(run: Runner) -> None:
    run()
    predicted = run(check=True, state="absent")
    assert predicted["changed"] and run.dest.exists()
    gone = run(state="absent")
    assert gone["changed"] and gone["diff"] == predicted["diff"] and gone["snapshot"] is None
    assert not run.dest.exists() and run.left() == []
    assert not run(state="absent")["changed"] and not run(check=True, state="absent")["changed"]


def test_directory_of_somebody_else(run: Runner) -> None:
    run.dest.mkdir()
    (run.dest / "thesis.odt").write_text("mine")
    for state in ("present", "absent"):
        message = run.refused(state=state)
        assert "holds 1 entries (thesis.odt) and no .snapshot.json" in message
    assert (run.dest / "thesis.odt").read_text() == "mine"
    (run.dest / "thesis.odt").unlink()
    assert run()["changed"], "an empty directory is taken"


def test_places_that_cannot_be(run: Runner, folder: Path) -> None:
    (folder / "file").write_text("x")
    (folder / "link").symlink_to(folder)
    assert "is a file" in run.refused(dest=str(folder / "file"))
    assert "is a link" in run.refused(dest=str(folder / "link"))
    assert "make it first" in run.refused(dest=str(folder / "none" / "model"))
    assert run(check=True, dest=str(folder / "none" / "model"))["changed"]
    assert "absolute path" in run.refused(dest="/")
    run.staging.symlink_to(folder / "elsewhere")
    assert ".model.partial', which this module works in, is a link" in run.refused()


def test_second_page_of_the_listing(folder: Path) -> None:
    with StandInHub(page=3) as hub:
        repository = hub.add(Repository("acme/model"))
        many = {f"part-{number:02}.json": content(10 + number) for number in range(11)}
        repository.commit(many)
        run = Runner(hub, folder)
        run()
        assert tree(run.dest) == many
