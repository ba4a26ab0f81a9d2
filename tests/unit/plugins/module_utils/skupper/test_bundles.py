# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a bundle is read as, and how one is made without leaving anything half-done."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.bundles import (
    Content,
    find,
    make,
    read_bundle,
    report,
    unwise,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.errors import (
    InvalidValue,
    SkupperError,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.namespaces import (
    Documents,
    specs_of,
)

API = "skupper.io/v2alpha1"
INSTALLER = """#!/bin/sh
export SITE_NAME="east"
export SOURCE_NAMESPACE="ns"
export SOURCE_PLATFORM="podman"
export NAMESPACE="${SOURCE_NAMESPACE}"
export VERSION="2.2.1"
"""
SITE = {"apiVersion": API, "kind": "Site", "metadata": {"name": "east"}, "spec": {"linkAccess": "default"}}
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "a"},
    "data": {"tls.key": "a2V5"},
    "type": "kubernetes.io/tls",
}


def archive(*objects: dict[str, Any], installer: str = INSTALLER, links: Sequence[str] = ()) -> bytes:
    """An archive as the command makes it."""
    texts = {f"ns/internal/snapshot/{number}.yaml": yaml.safe_dump(one) for number, one in enumerate(objects)}
    texts |= {f"ns/runtime/links/{name}": "kind: Link\n" for name in links}
    texts["ns/runtime/resources/Site-east.yaml"] = "not: {of, interest\n"
    texts["install.sh"] = installer
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as made:
        for name, text in texts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            made.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def script(*objects: dict[str, Any]) -> bytes:
    """A script as the command makes it: the mark is also named in the script itself."""
    head = INSTALLER + "awk '/^__TARBALL_CONTENT__$/ {print NR + 1}' \"$0\"\nexit 0\n"
    return head.encode() + b"\n__TARBALL_CONTENT__\n" + archive(*objects, installer="")


def content(*objects: dict[str, Any], form: str = "tarball") -> Content:
    return Content(form, "podman", "ns", specs_of(objects))


@pytest.mark.parametrize(
    "form, data", [("tarball", archive(SITE, SECRET)), ("shell-script", script(SITE, SECRET))]
)
def test_both_forms_are_read(form: str, data: bytes) -> None:
    found = read_bundle(data)
    assert found is not None and found.content == content(SITE, SECRET, form=form)
    assert (found.site, found.version, found.links) == ("east", "2.2.1", ())


def test_what_the_command_adds_to_its_copy_is_no_difference() -> None:
    kept = {
        **SITE,
        "metadata": {"name": "east", "creationTimestamp": None, "labels": {"a": "b"}},
        "status": {},
    }
    other = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}
    found = read_bundle(archive(kept, other, links=["link-b.yaml", "link-a.yaml"]))
    assert found is not None and found.content == content(SITE)
    assert found.links == ("link-a.yaml", "link-b.yaml")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        archive(SITE)[:-9],
        script(SITE)[:-9],
        gzip.compress(b"no archive", mtime=0),
        archive(),
        archive(SITE, installer="exit 0\n"),
        archive(SITE)[:40] + b"\xff" + archive(SITE)[41:],
    ],
)
def test_what_is_no_whole_bundle(data: bytes) -> None:
    assert read_bundle(data) is None


def test_of_a_secret_only_whether_it_differs_is_seen() -> None:
    other = {**SECRET, "data": {"tls.key": "b3RoZXI="}}
    before, after = content(SITE, SECRET), content(SITE, other)
    assert before.seen()["objects"]["Secret/a"] == after.seen(None)["objects"]["Secret/a"]
    assert after.seen(before)["objects"]["Secret/a"]["data"] == "<changed>"
    assert before.seen(before) == before.seen()
    for one in (before.seen(), after.seen(before)):
        assert "a2V5" not in str(one) and "b3RoZXI=" not in str(one)


def test_made_whole_or_not_at_all(tmp_path: Path) -> None:
    dest, wanted, whole = tmp_path / "east.tar.gz", content(SITE), archive(SITE)
    words: list[Sequence[str]] = []

    def run(data: bytes, said: Sequence[str]) -> None:
        words.append(said)
        (tmp_path / "bundles/ns").mkdir(parents=True)
        (tmp_path / "bundles/ns/tls.key").write_text("k")
        (tmp_path / "bundles" / f"{said[2]}.tar.gz").write_bytes(data)

    make(lambda said: run(whole, said), str(tmp_path), wanted, None, str(dest))
    assert dest.read_bytes() == whole and dest.stat().st_mode & 0o777 == 0o600
    assert words[0][:2] == ["system", "generate-bundle"] and words[0][3:] == ["--type", "tarball"]
    with pytest.raises(SkupperError, match="does not hold what its input says"):
        make(lambda said: run(archive(SITE, SECRET), said), str(tmp_path), wanted, "/in", str(dest))
    assert words[1][-2:] == ["--input", "/in"] and words[0][2] != words[1][2]
    assert dest.read_bytes() == whole
    assert list((tmp_path / "bundles").iterdir()) == [] and len(list(tmp_path.iterdir())) == 2


def test_what_somebody_keeps_beside_bundles_stays(tmp_path: Path) -> None:
    (tmp_path / "bundles/ns").mkdir(parents=True)
    with pytest.raises(SkupperError):
        make(lambda said: None, str(tmp_path), content(SITE), None, str(tmp_path / "x"))
    assert (tmp_path / "bundles/ns").is_dir()


def test_find(tmp_path: Path) -> None:
    assert find(str(tmp_path / "a")) == (None, 0)
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "a").chmod(0o640)
    assert find(str(tmp_path / "a")) == (b"x", 0o640)
    with pytest.raises(InvalidValue, match="which is no file; name a file"):
        find(str(tmp_path))


def test_link_access_needs_names_of_the_other_host(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(SITE))
    assert "does nothing in a bundle" in unwise(Documents(str(tmp_path)))[0]
    access = {"apiVersion": API, "kind": "RouterAccess", "metadata": {"name": "east"}}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(access))
    assert unwise(Documents(str(tmp_path))) == []


def test_report_before_and_after() -> None:
    before = report("/x", None, None, content(SITE, SECRET))
    assert before["sha256"] is None and before["version"] is None and before["site"] == "east"
    assert before["objects"] == ["Secret/a", "Site/east"]
    after = report("/x", b"", read_bundle(archive(SITE)), content(SITE))
    assert after["version"] == "2.2.1" and after["sha256"].startswith("e3b0c442")
