# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Pure parts of the preflight: what to try, and what an error of podman means for the user."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from . import cni
from .client import parse_version

#: Oldest podman whose networks, secrets and options this collection uses.
MINIMUM_VERSION = (4, 3, 0)
#: The one of Ubuntu 22.04, whose networks are made in another way (see ``cni``); none between was tried.
UBUNTU_2204_VERSION = (3, 4)

#: The most we ask for, even if the host allows more.
NOFILE_WANTED = 65536
NPROC_WANTED = 4096

#: What every service of this collection asks for, so the probe does too.
HARDENING = (
    "--read-only",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    "--user=1001",
)
RESOURCE_LIMITS = ("--memory=64m", "--cpus=0.5", "--pids-limit=64")


class Problem(t.NamedTuple):
    """Something the user has to do. ``blocking`` means that nothing of ours can run before."""

    what: str
    remedy: str
    blocking: bool

    def as_result(self) -> dict[str, t.Any]:
        """Return it for the module's result."""
        return self._asdict()


def not_installed(executable: str) -> Problem:
    """Return the problem of a host without podman."""
    return Problem(
        f"podman is not on this host ({executable!r} was not found)",
        "install it, for example: apt install podman",
        True,
    )


def too_old(version: t.Sequence[int]) -> Problem | None:
    """Return the problem of a podman that is too old; None when it is new enough."""
    if tuple(version) >= MINIMUM_VERSION or tuple(version[:2]) == UBUNTU_2204_VERSION:
        return None
    numbers = (version, MINIMUM_VERSION[:2], UBUNTU_2204_VERSION)
    have, need, or_this = (".".join(map(str, one)) for one in numbers)
    return Problem(
        f"podman is {have}",
        f"at least {need} is needed (or {or_this}, that of Ubuntu 22.04): use a newer release of the system",
        True,
    )


def slow_storage(driver: str, has_fuse_overlayfs: bool) -> Problem | None:
    """Return what is wrong with podman's storage driver, if anything."""
    if driver != "vfs":
        return None
    fuse = (
        "as root run: modprobe fuse; chmod 666 /dev/fuse" if has_fuse_overlayfs else "install fuse-overlayfs"
    )
    return Problem(
        "podman's storage driver is vfs, which copies every layer in full (slow, large)",
        f"{fuse}; then, before images are made, run: podman system reset",
        False,
    )


def unshared_root(mountinfo: str) -> Problem | None:
    """Return the problem of a root directory that is no shared mount; None when it is one."""
    if root_is_shared(mountinfo):
        return None
    return Problem(
        "/ is not a shared mount: mounts made later may not be seen in rootless containers",
        "as root run: mount --make-rshared /",
        False,
    )


def no_linger(user: str) -> Problem:
    """Return the problem of services that end with the login."""
    return Problem(
        f"services of {user} end at logout and do not start at boot",
        f"as root run: loginctl enable-linger {user} (podman_service tries it too)",
        False,
    )


def stated_facts(
    info: t.Mapping[str, t.Any], systemd: bool, quadlet: bool, free_mb: int | None
) -> dict[str, t.Any]:
    """Return the module's facts before any experiment, from ``podman info`` and what the host says."""
    host, store = info["host"], info["store"]
    version = parse_version(info["version"]["Version"])
    return {
        "version": ".".join(map(str, version)),
        "rootless": bool(host["security"]["rootless"]),
        "arch": host["arch"],
        "systemd": systemd,
        "quadlet": quadlet,
        "cgroup": host.get("cgroupVersion", ""),
        "cgroup_manager": host.get("cgroupManager", ""),
        # Before 4.0 there was only one, and podman does not name it.
        "network_backend": host.get("networkBackend", "cni" if version < cni.UNTIL_VERSION else ""),
        "runtime": None,
        "ulimits": {},
        "run_args": [],
        "build_args": [],
        "resource_limits": False,
        "storage_driver": store.get("graphDriverName", ""),
        "graph_root": store.get("graphRoot", ""),
        "graph_root_free_mb": free_mb,
    }


class Combination(t.NamedTuple):
    """One way to start a container: a runtime (None is podman's default) and explicit limits."""

    runtime: str | None
    ulimits: dict[str, str]

    @property
    def run_args(self) -> list[str]:
        """Arguments of ``podman run``, ``create`` and ``build`` for the limits."""
        return [f"--ulimit={name}={value}" for name, value in self.ulimits.items()]

    def describe(self) -> str:
        """Return it in words for a message."""
        limits = " ".join(self.run_args) or "podman's own limits"
        return f"{self.runtime or 'the default runtime'} with {limits}"


def explicit_ulimits(hard_nofile: int, hard_nproc: int) -> dict[str, str]:
    """Return limits that lie within the hard limits of this process (-1 is unlimited)."""

    def fit(hard: int, wanted: int) -> int:
        return wanted if hard < 0 else min(hard, wanted)

    nofile, nproc = fit(hard_nofile, NOFILE_WANTED), fit(hard_nproc, NPROC_WANTED)
    return {"nofile": f"{nofile}:{nofile}", "nproc": f"{nproc}:{nproc}"}


def combinations(default: str, installed: t.Iterable[str], ulimits: dict[str, str]) -> list[Combination]:
    """Return what to try, the least unusual first.

    :param default: name of podman's default runtime; it is not tried a second time by its name.
    :param installed: runtimes that are on the host.
    """
    tries = [Combination(None, {}), Combination(None, ulimits)]
    for runtime in installed:
        if runtime != default:
            tries += [Combination(runtime, {}), Combination(runtime, ulimits)]
    return tries


#: Message of podman -> what it means and what helps. The first that matches is taken.
_KNOWN: tuple[tuple[str, str, str], ...] = (
    (
        r"setting rlimit|setrlimit|RLIMIT_",
        "containers cannot set their resource limits",
        "raise the hard limits of this login (nofile, nproc) in /etc/security/limits.conf, or install runc",
    ),
    (
        r"unable to execute nft|nft.*(not found|no such file)",
        "the program nft is missing, which netavark needs",
        "install nftables, for example: apt install nftables",
    ),
    (
        r"unable to execute iptables|iptables.*(not found|no such file)",
        "the program iptables is missing, which netavark needs",
        "install iptables, for example: apt install iptables",
    ),
    (
        r"could not find \"?netavark|netavark.*(not found|no such file)|plugin type=\"?bridge\"? failed|"
        r"unable to find network configuration|cni plugin",
        "podman has no working network backend",
        "install netavark (and aardvark-dns), for example: apt install netavark aardvark-dns "
        "(for Podman 3.4: containernetworking-plugins)",
    ),
    (
        r"/dev/net/tun|tun/tap|slirp4netns failed|open\(\"/dev/net/tun\"\)|pasta failed",
        "networks of ordinary users cannot be set up: /dev/net/tun is missing or may not be used",
        "as root run: modprobe tun; chmod 666 /dev/net/tun",
    ),
    (
        r"could not find (slirp4netns|pasta)|(slirp4netns|pasta).*(not found|no such file)",
        "the network helper of rootless podman is missing",
        "install passt or slirp4netns, for example: apt install slirp4netns",
    ),
    (
        r"rootless netns|XDG_RUNTIME_DIR",
        "the runtime directory of this user is missing",
        "as root run: install -d -m 0700 -o {user} /run/user/{uid}; then set XDG_RUNTIME_DIR=/run/user/{uid}",
    ),
    (
        r"newuidmap|newgidmap|subuid|subgid|insufficient UIDs|potentially insufficient",
        "user {user} has no range of subordinate user IDs that podman can use",
        "as root install uidmap and run: "
        "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}; "
        "then as {user}: podman system migrate",
    ),
    (
        r"no space left on device",
        "the storage of podman is full",
        "free space, or remove what is unused: podman system prune",
    ),
    (
        r"overlay.*not supported|kernel does not support overlay",
        "podman's storage driver overlay does not work here",
        'install fuse-overlayfs, or set driver = "vfs" in storage.conf',
    ),
    (
        r"address already in use",
        "a probe found its port in use",
        "run it again; if it repeats, see which process takes the ports: ss -ltnp",
    ),
)


def explain(message: str, doing: str, user: str, uid: int, blocking: bool = True) -> Problem:
    """Return what an error message of podman means; the message itself when it is not a known one."""
    for pattern, what, remedy in _KNOWN:
        if re.search(pattern, message, re.IGNORECASE):
            names = {"user": user, "uid": uid}
            return Problem(
                f"{what.format(**names)} ({doing}: {_last(message)})", remedy.format(**names), blocking
            )
    return Problem(
        f"{doing} fails: {_last(message)}",
        "try the same by hand with: podman --log-level=debug; podman's message says what is missing",
        blocking,
    )


def _last(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[-1][-400:] if lines else "no message"


def subordinate_ids(text: str, user: str, uid: int) -> int:
    """Return how many IDs /etc/subuid or /etc/subgid gives a user."""
    total = 0
    for line in text.splitlines():
        parts = line.strip().split(":")
        if len(parts) == 3 and parts[0] in (user, str(uid)) and parts[2].isdigit():
            total += int(parts[2])
    return total


def root_is_shared(mountinfo: str) -> bool:
    """Return whether ``/`` is a shared mount, from the text of /proc/self/mountinfo."""
    for line in mountinfo.splitlines():
        fields = line.split()
        if len(fields) > 6 and fields[4] == "/":
            return any(field.startswith("shared:") for field in fields[6 : fields.index("-")])
    return False


def probe_subnet(number: int) -> tuple[str, str]:
    """Return a subnet of the range for benchmarks (RFC 2544) and an address in it, chosen by a number."""
    networks = list(ipaddress.IPv4Network("198.18.0.0/15").subnets(new_prefix=28))
    subnet = networks[number % len(networks)]
    return str(subnet), str(subnet[5])
