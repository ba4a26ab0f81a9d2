# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The preflight: what it tries, what it makes of the outcome, and what podman's messages mean."""

from __future__ import annotations

import ipaddress
import shutil
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman import preflight, survey
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.probe import Probe


@pytest.mark.parametrize(
    "hard, expected",
    [
        ((20000, 512), {"nofile": "20000:20000", "nproc": "512:512"}),
        ((-1, -1), {"nofile": "65536:65536", "nproc": "4096:4096"}),
        ((1048576, 96365), {"nofile": "65536:65536", "nproc": "4096:4096"}),
    ],
)
def test_ulimits_lie_within_the_hard_limits(hard: tuple[int, int], expected: dict[str, str]) -> None:
    assert preflight.explicit_ulimits(*hard) == expected


def test_least_unusual_combination_is_tried_first() -> None:
    limits = {"nofile": "1:1"}
    assert preflight.combinations("crun", ["crun", "runc"], limits) == [
        preflight.Combination(None, {}),
        preflight.Combination(None, limits),
        preflight.Combination("runc", {}),
        preflight.Combination("runc", limits),
    ]


# Messages of podman 4.3.1 and 5.4.2, as seen on Debian 12 and 13 in November 2026.
@pytest.mark.parametrize(
    "message, remedy",
    [
        (
            "Error: crun: setrlimit `RLIMIT_NOFILE`: Operation not permitted: OCI permission denied",
            "limits.conf",
        ),
        ("error setting rlimit type 7: operation not permitted", "limits.conf"),
        (
            "Error: netavark: nftables error: unable to execute nft: No such file or directory (os error 2)",
            "nftables",
        ),
        ('Error: could not find "netavark" in one of [/usr/local/libexec/podman]', "netavark"),
        ('Error: slirp4netns failed: open("/dev/net/tun"): Permission denied', "/dev/net/tun"),
        (
            "Error: failed to mount runtime directory for rootless netns: no such file or directory",
            "/run/user/1007",
        ),
        (
            'Error: cannot find UID/GID for user ann: no subuid ranges found for user "ann" in /etc/subuid',
            "--add-subuids",
        ),
        ("write /var/tmp/x: no space left on device", "prune"),
    ],
)
def test_known_message_has_a_remedy(message: str, remedy: str) -> None:
    problem = preflight.explain(message, "starting", "ann", 1007)
    assert remedy in problem.remedy
    assert problem.blocking


def test_unknown_message_is_told_as_it_is() -> None:
    problem = preflight.explain("WARN x\nError: the moon is full\n", "starting a container", "ann", 1007)
    assert problem.what == "starting a container fails: Error: the moon is full"


def test_subordinate_ids_are_added_up() -> None:
    text = "# comment\nann:100000:65536\n1007:200000:10\nbob:300000:65536\nann:broken\n"
    assert preflight.subordinate_ids(text, "ann", 1007) == 65546


@pytest.mark.parametrize("number", [0, 1, 8191, 8192, 2**32])
def test_probe_subnet(number: int) -> None:
    subnet, address = preflight.probe_subnet(number)
    assert ipaddress.ip_address(address) in ipaddress.ip_network(subnet)
    assert ipaddress.IPv4Network(subnet).subnet_of(ipaddress.IPv4Network("198.18.0.0/15"))


@pytest.mark.parametrize(
    "line, shared",
    [
        ("22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw", True),
        ("22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw", False),
        ("22 1 8:1 / / rw,relatime master:1 - ext4 /dev/sda1 rw", False),
    ],
)
def test_root_is_shared(line: str, shared: bool) -> None:
    text = f"21 22 0:20 / /sys rw shared:7 - sysfs sysfs rw\n{line}\n"
    assert preflight.root_is_shared(text) == shared


INFO: dict[str, Any] = {
    "version": {"Version": "5.4.2-dev"},
    "host": {"security": {"rootless": True}, "arch": "arm64", "cgroupVersion": "v2"},
    "store": {"graphDriverName": "overlay", "graphRoot": "/srv"},
}


def test_facts_before_the_experiments() -> None:
    facts = preflight.stated_facts(INFO, True, False, 7)
    assert (facts["version"], facts["rootless"], facts["systemd"]) == ("5.4.2", True, True)
    assert (facts["graph_root"], facts["graph_root_free_mb"]) == ("/srv", 7)
    assert facts["runtime"] is None and not facts["resource_limits"], "nothing is promised untried"


def test_what_works_but_not_well() -> None:
    assert preflight.slow_storage("overlay", False) is None
    for has_fuse, remedy in ((True, "modprobe fuse"), (False, "install fuse-overlayfs")):
        problem = preflight.slow_storage("vfs", has_fuse)
        assert problem and remedy in problem.remedy and not problem.blocking
    assert preflight.too_old((4, 3, 0)) is None and preflight.too_old((3, 4, 4)) is None
    old = preflight.too_old((4, 1, 0))
    assert old and old.blocking and "podman is 4.1.0" in old.what and "4.3" in old.remedy


class Tries(Probe):
    """A stand-in for the experiments: which ways start a container, and which build an image."""

    def __init__(self, starting: set[str | None], building: set[str | None], chroot: bool = False) -> None:
        self.starting, self.building, self.chroot = starting, building, chroot

    def start(self, combination: preflight.Combination, limits: bool = False) -> str | None:
        return None if combination.runtime in self.starting else "Error: OCI permission denied"

    def build(self, combination: preflight.Combination, isolation: str | None) -> str | None:
        if isolation:
            return None if self.chroot else "Error: no chroot"
        return None if combination.runtime in self.building else "Error: no build"


def asked(monkeypatch: pytest.MonkeyPatch, said: tuple[int, str, str] = (0, "", "")) -> survey.Survey:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    return survey.Survey(lambda argv, **_options: said, "/usr/bin/podman", ["crun", "runc"])


@pytest.mark.parametrize(
    "starting, building, runtime, failed",
    [
        ({None}, {None}, None, 0),
        ({"runc"}, {"runc"}, "runc", 2),
        # Starting is what counts where no way builds.
        ({None, "runc"}, {"runc"}, "runc", 2),
        ({None, "runc"}, set(), None, 4),
    ],
)
def test_first_way_that_starts_and_builds(
    monkeypatch: pytest.MonkeyPatch, starting: Any, building: Any, runtime: str | None, failed: int
) -> None:
    checks = asked(monkeypatch)
    found = checks.first_that_starts(Tries(starting, building), "crun")
    assert found is not None and found.runtime == runtime
    assert len(checks.tried) == failed and not checks.problems


def test_no_way_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = asked(monkeypatch)
    assert checks.first_that_starts(Tries(set(), set()), "crun") is None
    assert len(checks.tried) == 4 and len(checks.problems) == 1 and checks.problems[0].blocking
    assert "the default runtime with podman's own limits: Error: OCI" in checks.problems[0].what


def test_build_in_a_chroot_where_nothing_else_works(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = asked(monkeypatch)
    way = preflight.Combination(None, {"nofile": "1:1"})
    assert checks.build_arguments(Tries(set(), {None}), way) == way.run_args
    assert checks.build_arguments(Tries(set(), set(), chroot=True), way)[-1] == "--isolation=chroot"
    assert not checks.problems
    assert checks.build_arguments(Tries(set(), set()), way) == way.run_args
    assert "building an image" in checks.problems[0].what


def test_same_remedy_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = asked(monkeypatch)
    checks.add("no space left on device", "one thing")
    checks.add("write: No space left on device", "another")
    assert len(checks.problems) == 1


def test_podman_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = asked(monkeypatch, (125, "", "Error: the moon is full"))
    assert checks.run() is None
    assert "asking podman fails: Error: the moon is full" in checks.problems[0].what
