"""Sites on hosts: what the modules write, keep, repair and say."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.skupper.modules.beats import six_beats
from tests.skupper.modules.host import NAMESPACES, Host

INPUT = NAMESPACES / "east/input/resources"
WHERE: dict[str, Any] = {"platform": "linux", "namespace": "east"}


@pytest.mark.parametrize(
    "platforms, module, key, first, second",
    [
        (
            "linux podman docker",
            "skupper_site",
            "site",
            {"name": "east"},
            {"name": "east", "link_access": "default", "edge": True, "default_issuer": "authority"},
        ),
        (
            "linux podman docker",
            "skupper_listener",
            "listener",
            {"name": "web", "port": 8000},
            {
                "name": "web",
                "port": 8001,
                "listener_host": "127.0.0.1",
                "routing_key": "k",
                "observer": "http1",
            },
        ),
        (
            "linux podman docker",
            "skupper_connector",
            "connector",
            {"name": "web", "port": 8000},
            {"name": "web", "port": 8000, "connector_host": "127.0.0.1", "settings": {"a": "b"}},
        ),
        (
            "linux",
            "skupper_router_access",
            "router_access",
            {"name": "east", "subject_alternative_names": ["host.example"]},
            {
                "name": "east",
                "subject_alternative_names": ["host.example", "::1"],
                "inter_router_port": 55555,
            },
        ),
    ],
)
def test_six_beats(
    host: Host, platforms: str, module: str, key: str, first: dict[str, Any], second: dict[str, Any]
) -> None:
    for platform in platforms.split():

        def call(platform: str = platform, **options: Any) -> Any:
            return host.module(module, platform=platform, namespace="east", **options)

        six_beats(call, host.fingerprint, first, second, key)


def test_files_are_those_of_the_command(host: Host) -> None:
    """A site that the command made itself is what the modules would write."""
    for words in (
        ["site", "create", "east"],
        ["listener", "create", "web", "8000"],
        ["connector", "create", "db", "5432"],
    ):
        assert host.run(host.cli, "--platform", "linux", "-n", "east", *words).rc == 0
    before = host.fingerprint(INPUT)
    assert not host.module("skupper_site", **WHERE, name="east")["changed"]
    assert not host.module("skupper_listener", **WHERE, name="web", port=8000)["changed"]
    assert not host.module("skupper_connector", **WHERE, name="db", port=5432)["changed"]
    assert host.fingerprint(INPUT) == before


def test_drift_is_shown_and_repaired_and_what_others_wrote_stays(host: Host) -> None:
    options = {**WHERE, "name": "web", "port": 8000, "labels": {"ours": "1"}, "settings": {"x": "1"}}
    host.module("skupper_listener", **options)
    path = INPUT / "Listener-web.yaml"
    good = host.read(path)
    found = yaml.safe_load(good)
    found["spec"].update(port=9999, observer="none", tlsCredentials="theirs", newer="stays")
    found["spec"]["settings"]["theirs"] = "stays"
    found["metadata"]["labels"]["theirs"] = "stays"
    found["metadata"]["namespace"] = "elsewhere"
    host.write(path, yaml.safe_dump(found))
    repaired = host.module("skupper_listener", **options)
    assert repaired["changed"]
    assert repaired["diff"]["before"]["spec"]["port"] == 9999
    assert repaired["diff"]["after"]["spec"]["port"] == 8000
    now = yaml.safe_load(host.read(path))
    expected = yaml.safe_load(good)
    expected["spec"].update(newer="stays", settings={"x": "1", "theirs": "stays"})
    expected["metadata"]["labels"]["theirs"] = "stays"
    assert now == expected
    assert not host.module("skupper_listener", **options)["changed"]
    # What was ours and is no longer given goes; what is theirs stays.
    assert host.module("skupper_listener", **{**options, "labels": {}, "settings": None})["changed"]
    now = yaml.safe_load(host.read(path))
    assert now["spec"]["settings"] == {"theirs": "stays"} and now["metadata"]["labels"] == {"theirs": "stays"}


def test_drift_of_how_others_reach_the_host(host: Host) -> None:
    options = {
        **WHERE,
        "name": "east",
        "subject_alternative_names": ["host.example"],
        "bind_host": "192.0.2.1",
    }
    host.module("skupper_router_access", **options)
    path = INPUT / "RouterAccess-east.yaml"
    good = host.read(path)
    found = yaml.safe_load(good)
    found["spec"].update(bindHost="0.0.0.0", subjectAlternativeNames=["theirs.example"], newer="stays")
    found["spec"]["roles"][0]["port"] = 1
    host.write(path, yaml.safe_dump(found))
    predicted = host.module("skupper_router_access", **options, check=True)
    repaired = host.module("skupper_router_access", **options)
    assert repaired["changed"] and repaired["diff"] == predicted["diff"]
    assert repaired["diff"]["before"]["spec"]["bindHost"] == "0.0.0.0"
    expected = yaml.safe_load(good)
    expected["spec"]["newer"] = "stays"
    assert yaml.safe_load(host.read(path)) == expected
    assert not host.module("skupper_router_access", **options)["changed"]


def test_modes(host: Host) -> None:
    host.run("chmod", "0755", "/var/lib")
    host.module("skupper_site", **WHERE, name="east")
    assert host.mode(INPUT / "Site-east.yaml") == "640"
    assert host.mode(INPUT) == host.mode(NAMESPACES / "east") == "700"


@pytest.mark.parametrize(
    "module, options, message",
    [
        ("skupper_listener", {"name": "web", "port": 99999}, "port is 99999; a port is between 1 and 65535"),
        ("skupper_connector", {"name": "web", "port": 0}, "port is 0; a port is between 1 and 65535"),
        (
            "skupper_connector",
            {"name": "web", "port": 1, "connector_host": "Under_score"},
            "small letters without _",
        ),
        (
            "skupper_connector",
            {"name": "web", "port": 1, "selector": "a=b"},
            "selector is for platform kubernetes",
        ),
        ("skupper_site", {"name": "a.b"}, "name is 'a.b'; use small letters, digits and - inside"),
        ("skupper_site", {"name": "a", "link_access": "route"}, "on platform linux it is none or default"),
        ("skupper_site", {"name": "a", "ha": True}, "ha is for platform kubernetes"),
        ("skupper_listener", {"name": "web"}, "state is present but all of the following are missing: port"),
        (
            "skupper_router_access",
            {"name": "a", "subject_alternative_names": ["x"], "edge_port": 55671},
            "inter_router_port and edge_port are both 55671",
        ),
        ("skupper_router_access", {"subject_alternative_names": ["x"]}, "has no site yet; make it first"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    host: Host, module: str, options: dict[str, Any], message: str
) -> None:
    before = host.fingerprint()
    result = host.module(module, **WHERE, **options)
    assert result["failed"] and message in result["msg"]
    assert host.fingerprint() == before


def test_command_is_missing(host: Host) -> None:
    options = {**WHERE, "name": "east", "executable": "no-such-skupper"}
    predicted = host.module("skupper_site", check=True, **options)
    assert predicted["changed"] and "'no-such-skupper' was not found" in str(predicted["warnings"])
    real = host.module("skupper_site", **options)
    assert real["failed"] and "install version 2.1 or newer" in real["msg"]
    # What was predicted without the command is what it renders.
    assert predicted["diff"] == host.module("skupper_site", check=True, **WHERE, name="east")["diff"]
    # Nothing is rendered to remove something.
    assert not host.module("skupper_site", **options, state="absent")["changed"]


@pytest.mark.parametrize(
    "version, message",
    [
        ("2.0.1", "version 2.0.1; install 2.1 or newer"),
        ("client version  1.9.6", "version 1 manages networks"),
    ],
)
def test_command_is_too_old(host: Host, version: str, message: str) -> None:
    old = host.folder / "skupper-old"
    old.write_text(f"#!/bin/sh\necho '{version}'\n")
    old.chmod(0o755)
    result = host.module("skupper_site", **WHERE, name="east", executable=str(old))
    assert result["failed"] and message in result["msg"]


def test_namespace_of_another_platform(host: Host) -> None:
    host.write(NAMESPACES / "east/internal/platform.yaml", "platform: podman\n")
    result = host.module("skupper_site", **WHERE, name="east")
    assert (
        result["failed"] and "namespace east runs on platform podman, and platform is linux" in result["msg"]
    )


def test_second_site(host: Host) -> None:
    host.module("skupper_site", **WHERE, name="east")
    result = host.module("skupper_site", **WHERE, name="other")
    assert result["failed"] and "has the site east already" in result["msg"]


def test_variables_of_the_caller_do_not_mislead(host: Host) -> None:
    environ = {"SKUPPER_PLATFORM": "podman", "SKUPPER_OUTPUT_PATH": "/nowhere", "KUBECONFIG": "/nowhere"}
    assert host.module("skupper_site", **WHERE, name="east", environ=environ)["changed"]
    assert "kind: Site" in host.read(INPUT / "Site-east.yaml")


def test_two_users_have_sites_of_their_own(host: Host) -> None:
    home = host.add_user("other", 1234)
    host.module("skupper_site", **WHERE, name="east")
    assert host.module_as("other", "skupper_site", **WHERE, name="west")["changed"]
    mine = home / ".local/share/skupper/namespaces/east/input/resources/Site-west.yaml"
    assert "name: west" in host.read(mine)
    data = {"XDG_DATA_HOME": home / "data"}
    assert host.module_as("other", "skupper_site", **WHERE, name="west", environ=data)["changed"]
    assert "name: west" in host.read(home / "data/skupper/namespaces/east/input/resources/Site-west.yaml")
    # Root's place is the same whatever its environment says.
    assert not host.module("skupper_site", **WHERE, name="east", environ={"XDG_DATA_HOME": "/nowhere"})[
        "changed"
    ]
    assert host.run("ls", str(INPUT)).stdout.split() == ["Site-east.yaml"]


def test_info_before_the_first_start(host: Host) -> None:
    host.module("skupper_site", **WHERE, name="east")
    host.module("skupper_listener", **WHERE, name="web", port=8000)
    info = host.module("skupper_info", **WHERE)
    assert not info["changed"] and info["started"] is False
    assert [one["name"] for one in info["sites"]] == ["east"]
    assert info["listeners"][0]["port"] == 8000 and info["listeners"][0]["matched"] is None
    assert info["pending"] == ["Listener/web", "Site/east"]
    assert info["versions"]["cli"] and info["links"] == info["grants"] == []
