# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets, networks, the tiny image and what a rootless session needs."""

from __future__ import annotations

import io
import os
import pwd
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman import (
    interfaces,
    network,
    quadlet,
    rootfs,
    secrets,
    systemd,
    units,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.actions import Actions
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.client import (
    PodmanClient,
    PodmanError,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.service import Plan


def test_generated_secrets_are_long_safe_and_different() -> None:
    one, two = secrets.generate_secret(), secrets.generate_secret()
    assert one != two
    assert len(one) == 43
    assert one.replace("-", "").replace("_", "").isalnum()


def test_digest_knows_its_data_and_hides_them() -> None:
    digest = secrets.make_digest("hunter2", rounds=1000)
    assert secrets.matches("hunter2", digest)
    assert not secrets.matches("hunter3", digest)
    assert "hunter2" not in digest
    assert secrets.make_digest("hunter2", rounds=1000) != digest


@pytest.mark.parametrize(
    "digest", ["", "abc", "md5$1$00$00", "pbkdf2-sha256$x$00$00", "pbkdf2-sha256$1$zz$00"]
)
def test_unreadable_digest_matches_nothing(digest: str) -> None:
    assert not secrets.matches("", digest)


WANTED = {"name": "n", "subnet": "10.0.0.0/24", "internal": True, "disable_dns": True}
# Podman 4.3.1, internal network: no gateway, no labels, no options.
INSPECTED: dict[str, Any] = {
    "name": "n",
    "id": "1",
    "network_interface": "podman1",
    "subnets": [{"subnet": "10.0.0.0/24"}],
    "internal": True,
    "dns_enabled": False,
}


def test_network_as_wanted() -> None:
    now = network.observe(INSPECTED)
    assert now is not None
    assert not network.different(now, network.wanted_network(WANTED))


@pytest.mark.parametrize(
    "change",
    [
        {"subnet": "10.0.1.0/24"},
        {"internal": False},
        {"disable_dns": False},
        {"gateway": "10.0.0.1"},
        {"options": {"isolate": True}},
    ],
)
def test_network_differs(change: dict[str, Any]) -> None:
    now = network.observe(INSPECTED)
    assert now is not None
    assert network.different(now, network.wanted_network({**WANTED, **change}))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"subnet": "10.0.0.1/24"}, "host bits"),
        ({"subnet": "ten"}, "'ten'"),
        ({"gateway": "10.0.1.1"}, "not in the subnet"),
        ({"gateway": "x"}, "gateway is 'x'"),
    ],
)
def test_network_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(network.NetworkError, match=message):
        network.validate({**WANTED, **change})


LISTED: list[dict[str, Any]] = [
    {"name": "n", "subnets": [{"subnet": "10.0.0.0/24"}]},
    {"name": "other", "subnets": [{"subnet": "fd00::/64"}, {"subnet": "10.0.8.0/24"}]},
    {"name": "macvlan", "subnets": None},
]


@pytest.mark.parametrize(
    "subnet, message",
    [
        ("10.0.0.0/24", None),
        ("10.0.0.0/20", "10.0.8.0/24 of Podman's network other.*podman network rm other"),
        ("fd00::/80", "fd00::/64 of Podman's network other"),
        ("10.9.0.0/28", "10.9.0.0/24 of this host's interface podman3.*ip link delete podman3"),
        ("192.0.2.0/28", "192.0.2.0/24 of this host's interface eth0. Remedy: choose another subnet$"),
    ],
)
def test_a_subnet_in_use_is_refused(subnet: str, message: str | None) -> None:
    taken = network.subnets_of(LISTED, "n")
    taken += network.subnets_of_links(
        {"podman3": "10.9.0.1/255.255.255.0", "eth0": "192.0.2.7/255.255.255.0"}
    )
    if message is None:
        network.check_free(subnet, taken)
        return
    with pytest.raises(network.NetworkError, match=message):
        network.check_free(subnet, taken)


def test_the_hosts_own_addresses_are_seen() -> None:
    assert interfaces.addresses()["lo"] == "127.0.0.1/255.0.0.0"


def test_containers_on_a_network_are_told_apart() -> None:
    listed: list[dict[str, Any]] = [
        {"Names": ["theirs"], "Labels": None},
        {"Names": ["ours"], "Labels": {"io.private-ai.chatbot": "managed"}},
    ]
    assert network.split_attached(listed) == (["ours"], ["theirs"])


def test_libraries_of_a_program() -> None:
    text = (
        "\tlinux-vdso.so.1 (0x00007f970f316000)\n"
        "\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f970f101000)\n"
        "\t/lib64/ld-linux-x86-64.so.2 (0x00007f970f318000)\n"
    )
    assert rootfs.libraries(text) == ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]


def test_archive_holds_files_as_files_with_their_directories(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"x")
    (tmp_path / "link").symlink_to("real")
    data = rootfs.archive([str(tmp_path / "link")], empty=["/usr/lib/python3"])
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        entry = tar.getmember(str(tmp_path / "link").lstrip("/"))
        assert entry.isreg()
        names = tar.getnames()
        assert {"tmp", "usr/lib/python3", "etc/passwd"} <= set(names)
        assert len(names) == len(set(names))


def test_missing_program() -> None:
    with pytest.raises(rootfs.RootfsError, match="no-such-program"):
        rootfs.needed_files(["no-such-program"], lambda *_args, **_options: (0, "", ""))


def test_session_of_root_needs_nothing() -> None:
    assert systemd.session_environ({}, 0) == {}


def test_session_keeps_what_is_set(tmp_path: Path) -> None:
    assert systemd.session_environ({"XDG_RUNTIME_DIR": str(tmp_path)}, 1007) == {}
    (tmp_path / "bus").touch()
    found = systemd.session_environ({"XDG_RUNTIME_DIR": str(tmp_path)}, 1007)
    assert found == {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={tmp_path}/bus"}


def test_unit_directory(tmp_path: Path) -> None:
    assert systemd.unit_directory(0, {}) == "/etc/containers/systemd"
    assert (
        systemd.unit_directory(1007, {"XDG_CONFIG_HOME": str(tmp_path)}) == f"{tmp_path}/containers/systemd"
    )


@pytest.mark.parametrize(
    "word, quoted",
    [
        ("plain", "plain"),
        ("", '""'),
        ("a b", '"a b"'),
        ("50%", '"50%%"'),
        ("$HOME", '"$$HOME"'),
        ('say "x"', '"say \\"x\\""'),
        ("a\\b", '"a\\\\b"'),
        ("a\nb", '"a\\nb"'),
    ],
)
def test_word_in_a_unit(word: str, quoted: str) -> None:
    assert quadlet.quote(word) == quoted


def test_unit_is_written_in_one_step_and_readable_for_its_owner_only(tmp_path: Path) -> None:
    def run_command(argv: list[str], **_options: Any) -> tuple[int, str, str]:
        return 0, "loaded\n", ""

    manager = systemd.Systemd(run_command, 0)
    directory = tmp_path / "units"
    backend = units.QuadletBackend(PodmanClient(run_command), manager, str(directory), "web", Actions())
    for text in ("one", "two"):
        backend.apply(Plan(True, False, False, []), None, text, False, 0, [])
    assert backend.read() == "two"
    assert (directory / "web.container").stat().st_mode & 0o777 == 0o600
    assert os.listdir(directory) == ["web.container"]


def linger(
    folder: Path, monkeypatch: pytest.MonkeyPatch, uid: int = 1007, rc: int = 0
) -> tuple[list[list[str]], list[str]]:
    """Ask for the lingering of ana, who has it when her file lies in the folder: commands and actions."""
    ana = pwd.struct_passwd(("ana", "x", 1007, 1007, "", "/home/ana", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", {1007: ana}.__getitem__)
    monkeypatch.setattr(systemd, "LINGER_DIR", str(folder))
    ran: list[list[str]] = []

    def run_command(argv: list[str], **_options: Any) -> tuple[int, str, str]:
        ran.append(argv)
        return rc, "", "Access denied" if rc else ""

    manager = systemd.Systemd(run_command, uid)
    backend = units.QuadletBackend(PodmanClient(run_command), manager, str(folder), "web", Actions())
    backend.linger()
    return ran, backend.actions.done


def test_a_user_who_does_not_linger_is_made_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert linger(tmp_path, monkeypatch) == ([["loginctl", "enable-linger", "ana"]], ["enable linger"])


def test_a_user_who_lingers_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ana").touch()
    assert linger(tmp_path, monkeypatch) == ([], [])


def test_the_system_needs_no_linger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert linger(tmp_path, monkeypatch, uid=0) == ([], [])


def test_a_refused_linger_says_who_has_to_do_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PodmanError, match=r"as root run: loginctl enable-linger ana .*Access denied"):
        linger(tmp_path, monkeypatch, rc=1)
