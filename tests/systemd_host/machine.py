"""A private host with systemd as process 1, as a container: a distribution of its own, with Podman 5 in it.

Its file system comes from the distribution's packages, its images from this host; nothing is compiled. It is
reached by SSH, so that each user has the session that a login gives. What it keeps is on this host's disk,
because Podman's storage does not go on top of a container's.

It sees one hierarchy of control groups. Where this host has version 1 with an empty version 2 beside it (a
"hybrid" host), it can be given either; that version 2 has no controllers, so nothing there can be limited.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import subprocess
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from tests.playbook import run_playbook

RELEASE = "trixie"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
PACKAGES = (
    "ca-certificates,systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,openssh-server,podman,runc,"
    "netavark,aardvark-dns,nftables,uidmap,passt,fuse-overlayfs,python3,iproute2,procps,openssl"
)
IMAGE = f"localhost/private-ai-test/systemd-host:{hashlib.sha256(PACKAGES.encode()).hexdigest()[:12]}"
#: What the role serves with on this host: built there by the step `molecule`.
GIVEN = {
    "private_model_image": os.environ.get("IMAGE", "localhost/private-ai/ilab:0.26.1"),
    "private_model_gateway_image": "localhost/private-ai/gateway:0.1.0",
}
OPTIONS = os.environ.get("PODMAN_RUN_ARGS", "").split()
#: The runtime is named before the command of Podman, limits after it.
RUNTIME = OPTIONS[:2] if OPTIONS[:1] == ["--runtime"] else []
LIMITS = OPTIONS[len(RUNTIME) :]
#: What makes a container fit for systemd, said by hand: Podman 5 has no systemd mode on version 1.
PLACES = ("/run", "/run/lock", "/tmp")
BY_HAND = ["--systemd=false", "--stop-signal=SIGRTMIN+3", *(f"--tmpfs={place}" for place in PLACES)]
USER = "owner"
CGROUPS = "/sys/fs/cgroup"
#: Version 2 instead of what Podman mounted.
SECOND_VERSION = f"umount -l {CGROUPS} && mount -t cgroup2 cgroup2 {CGROUPS} && exec /sbin/init"
#: It is a new host each time, so nobody knows its key.
SSH = """
Port {port}
IdentityFile {folder}/key
StrictHostKeyChecking no
UserKnownHostsFile /dev/null
LogLevel ERROR
ControlPath {folder}/%r
ControlMaster auto
ControlPersist 5m
"""
ASK = """
import json, sys, urllib.request
key = open(sys.argv[1]).read().strip()
body = json.dumps({"messages": [{"role": "user", "content": "What is this?"}], "max_tokens": 8}).encode()
headers = {"Authorization": "Bearer " + key, "Content-Type": "application/json"}
request = urllib.request.Request("http://127.0.0.1:8000/v1/chat/completions", body, headers)
print(json.load(urllib.request.urlopen(request, timeout=60))["choices"][0]["message"]["content"])
"""


def call(*command: str, limit: float = 600, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command; AssertionError with its words when it fails."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=limit, check=False, stdin=subprocess.DEVNULL
    )
    said = f"{shlex.join(command)}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    assert not check or done.returncode == 0, said
    return done


def until(condition: Callable[[], object], seconds: float = 180) -> None:
    """Wait for it; AssertionError when it does not come."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(1)


def unified() -> bool:
    """Whether this host has version 2 of the control groups and nothing else."""
    return Path(CGROUPS, "cgroup.controllers").exists()


def build_image() -> None:
    """Make the host's image where it is not there."""
    if call("podman", "image", "exists", IMAGE, check=False).returncode == 0:
        return
    mirror = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
    options = ["--variant=apt", f"--include={PACKAGES}", f"--keyring={KEYRING}"]
    made = ["mmdebstrap", "--quiet", *options, RELEASE, "-", mirror]
    with subprocess.Popen(made, stdout=subprocess.PIPE) as packages:
        words = ["podman", "import", "--change", 'CMD ["/sbin/init"]', "-", IMAGE]
        subprocess.run(words, stdin=packages.stdout, check=True, capture_output=True, timeout=1200)
    assert packages.returncode == 0, f"mmdebstrap {RELEASE} ended with {packages.returncode}"


class Machine:
    """The host, running.

    :param folder: on a real disk, for what it keeps.
    :param version: of the control groups that it sees.
    :param images: of this host, which it can load.
    """

    def __init__(self, folder: Path, version: int, images: Iterable[str] = GIVEN.values()) -> None:
        self.folder = folder
        self.version = version
        self.images = tuple(images)
        self.name = f"private-ai-test-host-{uuid.uuid4().hex[:8]}"
        self.ssh = ["ssh", "-F", f"{folder}/ssh.conf"]

    def start(self) -> None:
        """Start it, with a user whose services outlive a login."""
        for name in ("containers", "home"):
            (self.folder / name).mkdir()
        archive = self.folder / "images.tar"
        call("podman", "save", "--multi-image-archive", "--output", str(archive), *self.images)
        call(
            *("podman", *RUNTIME, "run", "--detach", "--name", self.name, "--hostname", "private-host"),
            *("--privileged", "--cgroupns=private", *LIMITS),
            *(["--systemd=always"] if unified() else BY_HAND),
            *("--publish", "127.0.0.1::22", *self._files(archive), *self._first_process()),
        )
        (self.port,) = re.findall(r":(\d+)$", call("podman", "port", self.name, "22").stdout.strip())
        (self.folder / "ssh.conf").write_text(SSH.format(port=self.port, folder=self.folder))
        self.wait()
        self.run("root", "useradd", "--create-home", "--shell", "/bin/bash", USER)
        self.run("root", "loginctl", "enable-linger", USER)

    def _files(self, archive: Path) -> list[str]:
        """What it gets of this host: places on the disk, images, and who may log in."""
        call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{self.folder}/key")
        (self.folder / "sshd.conf").write_text("AuthorizedKeysFile /etc/ssh/visitors\nMaxSessions 50\n")
        # Podman limits the number of processes of its own accord, which takes a controller.
        limited = self.version == 1 or unified()
        (self.folder / "podman.conf").write_text("" if limited else "[containers]\npids_limit = 0\n")
        archive.chmod(0o644)
        # udev does this elsewhere; without it an ordinary user has no networks.
        (self.folder / "tun.conf").write_text("z /dev/net/tun 0666 - - -\n")
        places = {
            "containers": "/var/lib/containers",
            "home": "/home",
            "images.tar": "/images.tar:ro",
            "key.pub": "/etc/ssh/visitors:ro",
            "sshd.conf": "/etc/ssh/sshd_config.d/visitors.conf:ro",
            "tun.conf": "/etc/tmpfiles.d/tun.conf:ro",
            "podman.conf": "/etc/containers/containers.conf.d/test.conf:ro",
        }
        return [f"--volume={self.folder}/{here}:{there}" for here, there in places.items()]

    def _first_process(self) -> list[str]:
        if self.version == 1:
            # Of its own accord systemd no longer starts on version 1.
            forced = ["--env", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1", IMAGE, "/sbin/init"]
            return [*forced, "systemd.unified_cgroup_hierarchy=0"]
        return [IMAGE] if unified() else [IMAGE, "/bin/sh", "-c", SECOND_VERSION]

    def run(self, user: str, *command: str, check: bool = True, limit: float = 300) -> str:
        """Run a command in a session of a user of the host; what it said."""
        words = (
            *self.ssh,
            f"{user}@127.0.0.1",
            "PODMAN_IGNORE_CGROUPSV1_WARNING=1",
            shlex.join(command),
        )
        return call(*words, limit=limit, check=check).stdout.strip()

    def wait(self) -> None:
        """Wait until systemd has started what it starts."""
        state = ("systemctl", "is-system-running")
        until(lambda: self.run("root", *state, check=False) in ("running", "degraded"))

    def reboot(self) -> None:
        """End every process of the host, and start it again."""
        self.leave()
        call("podman", "stop", "--time=60", self.name)
        call("podman", "start", self.name)
        self.wait()

    def leave(self) -> None:
        """End the connections that were kept for the next command."""
        for user in ("root", USER):
            call(*self.ssh, "-O", "exit", f"{user}@127.0.0.1", check=False)

    def load(self, user: str) -> None:
        """Give a user the images."""
        self.run(user, "podman", "load", "--input", "/images.tar")

    def play(self, user: str, **variables: Any) -> int:
        """Let the user run the role; how much it changed."""
        host = {
            "ansible_host": "127.0.0.1",
            "ansible_user": user,
            "ansible_ssh_args": shlex.join(self.ssh[1:]),
            "ansible_python_interpreter": "/usr/bin/python3",
            "private_model_replicas": 1,
            "private_model_min_memory_bytes": 500_000_000,
            **GIVEN,
            **variables,
        }
        book = [{"hosts": "private", "roles": [{"role": "private_ai.chatbot.private_model"}]}]
        (self.folder / "play.yml").write_text(yaml.safe_dump(book))
        (self.folder / "inventory.yml").write_text(yaml.safe_dump({"private": {"hosts": {self.name: host}}}))
        said = run_playbook(f"--inventory={self.folder}/inventory.yml", self.folder / "play.yml", limit=900)
        (changed,) = re.findall(rf"^{self.name} .*changed=(\d+)", said, re.MULTILINE)
        return int(changed)

    def answer(self, user: str) -> str:
        """What the model says; empty while it does not."""
        base = "/var/lib/private-ai" if user == "root" else f"/home/{user}/.local/share/private-ai"
        return self.run(user, "python3", "-c", ASK, f"{base}/api-key", check=False)

    def left(self, user: str) -> list[str]:
        """What there is of the role's making."""
        found = []
        for kind, words in {
            "container": ["ps", "--all", "--format={{.Names}}"],
            "network": ["network", "ls", "--format={{.Name}}"],
            "secret": ["secret", "ls", "--format={{.Name}}"],
        }.items():
            names = self.run(user, "podman", *words).split()
            found += [f"{kind} {name}" for name in names if name.startswith("private-ai")]
        return found

    def facts(self, user: str, name: str) -> dict[str, Any]:
        """A container as Podman describes it."""
        found: list[dict[str, Any]] = json.loads(self.run(user, "podman", "inspect", name))
        return found[0]

    def stop(self) -> None:
        """Remove it."""
        self.leave()
        call("podman", "rm", "--force", "--time=10", self.name, check=False)
