# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The network files of Podman 3.4: what is in them, what is compared, and which options a container gets."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman import (
    cni,
    glance,
    network,
    preflight,
    secrets,
    service,
    tool,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman import spec as specs
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.actions import Actions
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.client import (
    PodmanClient,
    PodmanError,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.containers import ContainerBackend

INNER: dict[str, Any] = {
    "name": "inner",
    "subnet": "10.0.0.0/24",
    "internal": True,
    "disable_dns": True,
    "options": {},
}
OUTER: dict[str, Any] = {**INNER, "name": "edge", "subnet": "10.0.1.0/24", "internal": False}


def plugins(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {plugin["type"]: plugin for plugin in content["plugins"]}


class Host:
    """A stand-in for podman: its version, and networks that it reads from the files as Podman 3.4 does."""

    def __init__(self, folder: Path, version: str = "3.4.4") -> None:
        self.folder, self.version, self.calls = folder, version, list[list[str]]()
        self.files = cni.NetworkFiles(PodmanClient(self), str(folder))

    def __call__(self, argv: list[str], **options: Any) -> tuple[int, str, str]:
        self.calls.append(argv)
        kind, verb, name = argv[1], argv[2], argv[-1]
        if kind == "version":
            return 0, self.version, ""
        if (kind, verb) == ("network", "inspect"):
            path = self.folder / f"{name}.conflist"
            there = path.exists()
            return (0, f"[{path.read_text()}]", "") if there else (125, "[]", f"no such network {name}")
        return 0, "", ""


def test_an_internal_network_has_no_way_out() -> None:
    for address in (None, "10.0.0.11"):
        found = plugins(cni.conflist(INNER, address))
        assert not found["bridge"]["isGateway"] and not found["bridge"]["ipMasq"]
        assert "routes" not in found["bridge"]["ipam"] and "portmap" not in found
        assert found["tuning"]["sysctl"] == {"net.ipv6.conf.all.disable_ipv6": "1"}
    assert found["bridge"]["ipam"] == {"type": "static", "addresses": [{"address": "10.0.0.11/24"}]}


def test_another_network_publishes_ports_and_leads_out() -> None:
    found = plugins(cni.conflist(OUTER, "10.0.1.2"))
    assert found["bridge"]["isGateway"] and found["portmap"]["capabilities"] == {"portMappings": True}
    assert found["bridge"]["ipam"]["addresses"] == [{"address": "10.0.1.2/24", "gateway": "10.0.1.1"}]
    assert found["bridge"]["ipam"]["routes"] == [{"dst": "0.0.0.0/0"}]
    assert "dnsname" not in found and "tuning" not in found


def test_seats_share_the_bridge_and_the_published_one_comes_first() -> None:
    contents = [cni.conflist(INNER), cni.conflist(INNER, "10.0.0.2"), cni.conflist(INNER, "10.0.0.11")]
    names = {plugins(content)["bridge"]["bridge"] for content in contents}
    assert len(names) == 1 and len(names.pop()) <= 15
    assert cni.bridge(INNER) != cni.bridge({**INNER, "subnet": "10.0.2.0/24"})
    # Podman sorts by name; "edge" < "inner" must not be what decides.
    outside = {**OUTER, "name": "zone"}
    assert sorted([cni.seat_name(INNER, "10.0.0.2"), cni.seat_name(outside, "10.0.1.2")])[0].startswith(
        "external"
    )


@pytest.mark.parametrize(
    "name, expected",
    [
        ("internal-private-ai-model-10.131.77.11", "private-ai-model"),
        ("external-a-1.2.3.4-10.0.0.2", "a-1.2.3.4"),
        ("private-ai-model", "private-ai-model"),
        ("internal-only", "internal-only"),
    ],
)
def test_a_seat_tells_its_network(name: str, expected: str) -> None:
    assert cni.network_of(name) == expected


@pytest.mark.parametrize("params", [INNER, OUTER, {**OUTER, "gateway": "10.0.1.9"}])
def test_a_file_is_as_wanted(params: dict[str, Any]) -> None:
    wanted = network.wanted_network(params)
    now = network.observe(json.loads(json.dumps(cni.conflist(wanted))))
    assert now is not None and not network.different(now, wanted)
    assert now["interface"] == cni.bridge(wanted) and len(now["id"]) == 64


@pytest.mark.parametrize(
    "spoil",
    [
        lambda found: found.update(cniVersion="1.0.0"),
        lambda found: found["plugins"][0].update(isGateway=True),
        lambda found: found["plugins"][0]["ipam"].update(routes=[{"dst": "0.0.0.0/0"}]),
        lambda found: found["plugins"][0]["ipam"]["ranges"][0][0].update(subnet="10.0.9.0/24"),
        lambda found: found["plugins"][0]["ipam"].update(ranges=[]),
        lambda found: found["plugins"].pop(),
        lambda found: found["plugins"].append({"type": "dnsname"}),
    ],
)
def test_a_file_that_somebody_changed_differs(spoil: Any) -> None:
    found = copy.deepcopy(cni.conflist(INNER))
    spoil(found)
    now = network.observe(found)
    assert now is not None and network.different(now, network.wanted_network(INNER))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"options": {"isolate": "true"}}, "options is .*isolate.*Remedy"),
        ({"disable_dns": False}, "disable_dns is false.*Remedy"),
        ({"subnet": "fd00::/64"}, "subnet is fd00::/64.*Remedy"),
    ],
)
def test_what_podman_3_cannot_have_is_refused(change: dict[str, Any], message: str) -> None:
    cni.check(network.wanted_network(INNER))
    with pytest.raises(cni.CniError, match=message):
        cni.check(network.wanted_network({**INNER, **change}))


def test_seats_are_written_once_and_go_with_their_network(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.files.make(INNER)
    host.files.make(OUTER)
    networks = [{"name": "inner", "ip": "10.0.0.2"}, {"name": "edge"}]
    first, second, check = Actions(), Actions(), Actions(check_mode=True)
    assert host.files.take(networks, check) == ["internal-inner-10.0.0.2", "edge"]
    assert len(check.done) == 1 and not host.files.seats("inner")
    assert host.files.take(networks, first) == ["internal-inner-10.0.0.2", "edge"]
    assert host.files.take(networks, second) and len(first.done) == 1 and not second.done
    (tmp_path / "internal-inner-10.0.0.2.conflist").write_text("{}")
    assert host.files.take(networks, second) and len(second.done) == 1
    assert json.loads((tmp_path / "internal-inner-10.0.0.2.conflist").read_text()) == cni.conflist(
        INNER, "10.0.0.2"
    )
    host.files.leave("inner")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["edge.conflist", "inner.conflist"]


def test_a_podman_that_looks_elsewhere_is_told(tmp_path: Path) -> None:
    files = cni.NetworkFiles(PodmanClient(lambda argv, **_o: (125, "[]", "no such network")), str(tmp_path))
    with pytest.raises(PodmanError, match=r"does not see the network inner .*network_config_dir"):
        files.make(INNER)
    assert not list(tmp_path.iterdir())


def test_newer_podman_is_left_alone(tmp_path: Path) -> None:
    answer = json.dumps([{"name": "inner", "subnets": [{"subnet": "10.0.0.0/24"}]}])
    files = cni.NetworkFiles(PodmanClient(lambda argv, **_o: (0, answer, "")), str(tmp_path))
    assert files.take([{"name": "inner", "ip": "10.0.0.2"}], Actions()) is None
    assert not list(tmp_path.iterdir())
    assert Host(tmp_path).files.apply() and not Host(tmp_path, "4.3.1").files.apply()


def test_a_container_gets_all_its_networks_by_one_option() -> None:
    spec = specs.normalise({"name": "web", "image": "i", "networks": [{"name": "n", "ip": "10.0.0.2"}]})
    made = specs.create_args(spec, {}, ["external-m-10.0.1.2", "internal-n-10.0.0.2"])
    assert [one for one in made if one.startswith("--network")] == [
        "--network=external-m-10.0.1.2,internal-n-10.0.0.2"
    ]


def seated(name: str) -> service.Observed:
    observed = service.observe(
        {
            "Id": "c1",
            "Image": "i1",
            "State": {"Status": "running"},
            "Config": {"Labels": {"io.private-ai.chatbot": "managed", specs.SPEC_LABEL: "d1"}},
            "NetworkSettings": {"Networks": {name: {"IPAddress": "10.0.0.2"}}},
        }
    )
    assert observed is not None
    return observed


def test_a_seat_that_is_gone_is_repaired_without_touching_the_container(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.files.make(INNER)
    spec = {"name": "web", "image": "x", "networks": [{"name": "inner", "ip": "10.0.0.2"}]}
    desired, observed = service.Desired(spec, "{}", "d1", "i1"), seated("internal-inner-10.0.0.2")
    assert observed.seated and not seated("inner").seated
    assert observed.addresses == {"inner": "10.0.0.2"}
    backend = ContainerBackend(PodmanClient(host), "web", Actions())
    backend.network_files = host.files
    steps = service.plan(observed, desired, "started")
    assert not steps.needed
    backend.apply(steps, observed, desired, 1, [])
    assert backend.actions.done == [f"write {tmp_path}/internal-inner-10.0.0.2.conflist"]
    assert not any("rm" in call or "create" in call for call in host.calls)


def test_a_glance_sees_a_seat_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(tmp_path)
    host.files.make(INNER)
    host.files.take([{"name": "inner", "ip": "10.0.0.2"}], Actions())
    monkeypatch.setattr(glance, "NetworkFiles", lambda client: host.files)
    before = glance.networks(PodmanClient(host), ["inner"])
    assert before == glance.networks(PodmanClient(host), ["inner"]) and before
    host.files.leave("inner")
    assert glance.networks(PodmanClient(host), ["inner"]) != before


@pytest.mark.parametrize(
    "port, expected",
    [
        ({"hostPort": 8080, "hostIP": "127.0.0.1", "containerPort": 5000}, ("127.0.0.1", 8080)),
        ({"host_port": 8080, "host_ip": "127.0.0.1"}, ("127.0.0.1", 8080)),
        ({"host_port": 8080, "host_ip": ""}, ("0.0.0.0", 8080)),
    ],
)
def test_a_published_port_is_read_by_both_names(port: dict[str, Any], expected: tuple[str, int]) -> None:
    assert cni.published(port) == expected


def test_where_the_files_are() -> None:
    assert cni.directory(0, {}) == "/etc/cni/net.d"
    assert cni.directory(1000, {"XDG_CONFIG_HOME": "/srv/c"}) == "/srv/c/cni/net.d"


@pytest.mark.parametrize("known, option", [("  --label stringArray", "--label"), ("--env", "--driver-opts")])
def test_a_secret_keeps_its_digest_as_podman_can(known: str, option: str) -> None:
    assert secrets.label_args({"a": "b"}, known) == [f"{option}=a=b"]


def test_the_digest_is_found_in_either_place() -> None:
    assert (
        secrets.labels_of({"Spec": {"Labels": {"a": "b"}, "Driver": {"Options": {"path": "/x"}}}})["a"] == "b"
    )
    assert secrets.labels_of({"Spec": {"Driver": {"Options": {"a": "c"}}}})["a"] == "c"
    assert not secrets.labels_of(None)


def test_tools_of_an_ordinary_user_keep_the_files_his() -> None:
    assert tool.user_args(False, (3, 4, 4)) == ["--user=1001:1001"]
    assert tool.user_args(True, (4, 3, 0)) == ["--userns=keep-id:uid=1001,gid=1001", "--user=1001:1001"]
    assert tool.user_args(True, (3, 4, 4))[0] == "--userns=keep-id"


@pytest.mark.parametrize("version, backend", [("3.4.4", "cni"), ("4.3.1", "netavark")])
def test_the_backend_is_named(version: str, backend: str) -> None:
    host: dict[str, Any] = {"security": {"rootless": False}, "arch": "amd64"}
    if backend != "cni":
        host["networkBackend"] = backend
    info = {"host": host, "store": {}, "version": {"Version": version}}
    assert preflight.stated_facts(info, False, False, None)["network_backend"] == backend
