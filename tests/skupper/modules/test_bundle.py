"""Sites as one file: made once for the same input, whole or not at all, and fit to be installed elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.skupper.modules.beats import six_beats
from tests.skupper.modules.host import NAMESPACES, Host
from tests.standins.skupper.grant_server import GrantServer

WHERE: dict[str, Any] = {"platform": "linux", "namespace": "east"}
INPUT = NAMESPACES / "east/input/resources"
BUNDLES = "/var/lib/skupper/bundles"


@pytest.fixture
def defined(host: Host) -> Host:
    """A host with the objects of a site that is to run elsewhere."""
    host.module("skupper_site", **WHERE, name="east", link_access="default")
    host.module("skupper_listener", **WHERE, name="web", port=8000, listener_host="127.0.0.1")
    return host


def bundle(host: Host, name: str = "east.tar.gz", **options: Any) -> Any:
    """Call the module."""
    return host.module("skupper_bundle", **{**WHERE, "dest": str(host.folder / name), **options})


@pytest.mark.parametrize("platform", ["linux", "podman", "docker"])
def test_six_beats(host: Host, platform: str) -> None:
    where: dict[str, Any] = {"platform": platform, "namespace": "east"}
    host.module("skupper_site", **where, name="east")

    def call(**options: Any) -> Any:
        return host.module("skupper_bundle", **where, **options)

    def fingerprint() -> str:
        return host.fingerprint("/var/lib/skupper", str(host.folder))

    dest = str(host.folder / "east.bundle")
    second = {"dest": dest, "type": "shell-script"}
    six_beats(call, fingerprint, {"dest": dest}, second, "bundle", untold=tuple(second))


def test_a_change_of_the_input_makes_another_one_and_nothing_else_does(defined: Host) -> None:
    host = defined
    assert "link_access=default, which does nothing in a bundle" in str(bundle(host, check=True)["warnings"])
    host.module("skupper_router_access", **WHERE, subject_alternative_names=["far.example"])
    first = bundle(host)
    assert first["changed"] and not first.get("warnings")
    assert first["bundle"]["objects"] == ["Listener/web", "RouterAccess/east", "Site/east"]
    assert first["bundle"]["site"] == "east" and first["bundle"]["version"]
    assert "link-east-far.example.yaml" in first["bundle"]["links"]
    assert host.mode(host.folder / "east.tar.gz") == "600"
    # Nothing of the making is left.
    assert host.run("ls", "-A", BUNDLES).stdout == ""
    assert not bundle(host)["changed"]
    host.module("skupper_site", **WHERE, name="east", link_access="default", labels={"a": "b"})
    host.write(INPUT / "README.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: ignored}\n")
    assert not bundle(host)["changed"]

    host.module("skupper_listener", **WHERE, name="web", port=8001, listener_host="127.0.0.1")
    predicted = bundle(host, check=True)
    done = bundle(host)
    assert predicted["changed"] and done["changed"] and predicted["diff"] == done["diff"]
    assert done["diff"]["before"]["objects"]["Listener/web"]["spec"]["port"] == 8000
    assert done["diff"]["after"]["objects"]["Listener/web"]["spec"]["port"] == 8001
    assert predicted["bundle"]["sha256"] is None and done["bundle"]["sha256"] != first["bundle"]["sha256"]
    assert not bundle(host)["changed"]
    renewed = bundle(host, force=True)
    assert renewed["changed"] and renewed["bundle"]["sha256"] != done["bundle"]["sha256"]
    assert bundle(host, platform="podman")["diff"]["before"]["platform"] == "linux"


def test_what_is_damaged_is_made_anew_and_what_is_open_is_closed(defined: Host) -> None:
    host, path = defined, defined.folder / "east.tar.gz"
    good = bundle(host)["bundle"]["sha256"]
    path.chmod(0o644)
    predicted = bundle(host, check=True)
    closed = bundle(host)
    assert predicted["diff"] == closed["diff"] and closed["diff"]["before"]["mode"] == "0644"
    assert closed["changed"] and closed["bundle"]["sha256"] == good and host.mode(path) == "600"
    data = path.read_bytes()
    for damaged in (data[:-100], data[: len(data) // 2] + b"\0" + data[len(data) // 2 + 1 :], b"another"):
        path.write_bytes(damaged)
        repaired = bundle(host)
        assert repaired["changed"] and repaired["diff"]["before"]["content"] == "no whole bundle"
        assert not bundle(host)["changed"]


def test_the_last_good_one_stays_when_no_other_can_be_made(defined: Host) -> None:
    host = defined
    bundle(host)
    before = host.fingerprint(str(host.folder / "east.tar.gz"))
    host.module("skupper_listener", **WHERE, name="web", port=8001, listener_host="127.0.0.1")
    bad = host.folder / "bad"
    for script, message in (
        # Dies in the middle, with keys on the disk.
        (
            f"mkdir -p {BUNDLES}/east && touch {BUNDLES}/east/tls.key; echo no space left; exit 1",
            "no space left",
        ),
        ("echo nothing made", "does not hold what its input says"),
        (f"mkdir -p {BUNDLES}; echo other >{BUNDLES}/$7.tar.gz", "does not hold what its input says"),
    ):
        bad.write_text(f'#!/bin/sh\n[ "$1" = version ] && echo 2.2.1 && exit\n{script}\n')
        bad.chmod(0o755)
        result = bundle(host, executable=str(bad))
        assert result["failed"] and message in result["msg"]
        assert host.fingerprint(str(host.folder / "east.tar.gz")) == before
        assert host.run("ls", "-A", BUNDLES).stdout == ""


def test_a_key_in_it_is_never_shown(defined: Host, tmp_path_factory: pytest.TempPathFactory) -> None:
    host = defined
    with GrantServer(tmp_path_factory.mktemp("grants")) as server:
        host.module("skupper_link", **WHERE, name="to-public", token=server.token())
    results = [bundle(host, "a.sh", type="shell-script")]
    path = INPUT / "Secret-to-public.yaml"
    secret = yaml.safe_load(host.read(path))
    key = secret["data"]["tls.key"]
    assert results[0]["diff"]["after"]["objects"]["Secret/to-public"]["data"] == "<hidden>"
    secret["data"]["tls.key"] = "YW5vdGhlcg=="
    host.write(path, yaml.safe_dump(secret))
    results += [bundle(host, "a.sh", type="shell-script", check=check) for check in (True, False)]
    assert results[1]["diff"] == results[2]["diff"]
    assert results[2]["diff"]["after"]["objects"]["Secret/to-public"]["data"] == "<changed>"
    assert not bundle(host, "a.sh", type="shell-script")["changed"]
    for one in results:
        assert key not in str(one) and "YW5vdGhlcg==" not in str(one)


@pytest.mark.parametrize("form", ["tarball", "shell-script"])
def test_it_starts_the_site_on_a_host_without_the_command(
    defined: Host, tmp_path_factory: pytest.TempPathFactory, form: str
) -> None:
    assert bundle(defined, "bundle", type=form)["changed"]
    other = Host(tmp_path_factory.mktemp("other"))
    try:
        (other.folder / "bundle").write_bytes((defined.folder / "bundle").read_bytes())
        unpack = "tar xzf bundle && sh install.sh" if form == "tarball" else "sh bundle"
        done = other.run("sh", "-c", f"cd {other.folder} && {unpack} -n far")
        assert done.rc == 0 and 'Site "east" is now running' in done.stdout, done
        assert other.run("systemctl", "is-active", "skupper-far.service").rc == 0
        assert "port: 8000" in other.read(NAMESPACES / "far/runtime/resources/Listener-web.yaml")
        # Nothing of the namespace that it was made in is left.
        config = other.read(NAMESPACES / "far/runtime/router/skrouterd.json")
        assert '"namespace": "far"' in config and "{{" not in config
    finally:
        other.stop()


def test_from_a_directory(host: Host) -> None:
    source = host.folder / "objects"
    missing = bundle(host, input=str(source))
    assert missing["failed"] and "is no directory; make it first" in missing["msg"]
    assert bundle(host, input=str(source), check=True)["changed"]
    source.mkdir()
    site = {"apiVersion": "skupper.io/v2alpha1", "kind": "Site", "metadata": {"name": "s"}, "spec": {}}
    (source / "all.yaml").write_text(yaml.safe_dump(site))
    made = bundle(host, input=str(source))
    assert made["changed"] and made["bundle"]["site"] == "s" and made["bundle"]["namespace"] == "east"
    assert not bundle(host, input=str(source))["changed"]
    host.module("skupper_site", **WHERE, name="east")
    both = bundle(host, input=str(source))
    assert both["failed"] and "has objects of its own" in both["msg"]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"dest": "/nowhere/x"}, "'/nowhere' is no directory; make it first"),
        ({"dest": "/etc"}, "dest is '/etc', which is no file"),
        ({"namespace": "empty"}, "there is no site in"),
        ({"executable": "no-such-skupper"}, "'no-such-skupper' was not found"),
    ],
)
def test_what_cannot_be(defined: Host, options: dict[str, Any], message: str) -> None:
    before = defined.fingerprint()
    predicted = bundle(defined, check=True, **options)
    assert message in str(predicted.get("warnings")) or message in predicted["msg"]
    result = bundle(defined, **options)
    assert result["failed"] and message in result["msg"]
    assert defined.fingerprint() == before


def test_a_host_that_the_command_takes_for_its_container(defined: Host, tmp_path: Path) -> None:
    defined.write("/.dockerenv", "")
    result = bundle(defined)
    assert result["failed"] and "because /.dockerenv exists" in result["msg"]
