"""The stage of the hybrid run: a Kubernetes of two nodes, and stand-ins for Skupper.

    python -m tests.hybrid.stage up|left|down       `left` says what teardown.yml left behind

Stand-ins are Skupper's controller, its routers (a pod here, a process there), its command, and systemd where
there is none. All is kept below MOLECULE_EPHEMERAL_DIRECTORY, but for the page's name in /etc/hosts.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.cluster.__main__ import down as cluster_down
from tests.cluster.__main__ import running
from tests.cluster.__main__ import up as cluster_up
from tests.cluster.cluster import Cluster, load_image
from tests.cluster.facts import Facts
from tests.left import left as left_on_host
from tests.standins.skupper.model.crds import definitions
from tests.standins.skupper.router import image as router_image

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("MOLECULE_EPHEMERAL_DIRECTORY") or ROOT / ".cache/hybrid")
CHATBOT_IMAGE = "localhost/private-ai/chatbot:0.1.0"
HOST = "chat.hybrid.test"
NAMESPACE = "ilab-chat"
#: Skupper's namespace on the private host, and the unit of its router.
SITE = "private-ai-hybrid"
UNIT = f"skupper-{SITE}.service"
SITE_PLACES = [Path("/var/lib/skupper/namespaces") / SITE, Path("/etc/systemd/system") / UNIT]
BIN = FOLDER / "bin"
#: The inventory of the tutorial's reader.
MINE = FOLDER / "mine"
PROGRAMS = {
    "skupper": "tests/standins/skupper/bin/skupper",
    "skrouterd": "tests/standins/skupper/router/bin/skrouterd",
}
SYSTEMCTL = "tests/skupper/modules/bin/systemctl"
HOSTS = Path("/etc/hosts")
#: By it Skupper knows its own container, and starts no site there. A host of tests may well be a container.
SIGN = Path("/.dockerenv")
MARK = "# hybrid run of private_ai.chatbot"
START_SECONDS = 60


def cluster() -> Cluster:
    """The cluster that runs; RuntimeError when there is none."""
    return Cluster(FOLDER / "cluster/kubeconfig", facts())


def facts() -> Facts:
    """Its addresses; RuntimeError when there is none."""
    found = running(FOLDER / "cluster")
    if found is None:
        raise RuntimeError(f"no cluster of {FOLDER} runs; remedy: python -m tests.hybrid.stage up")
    return found


def _install_programs() -> None:
    """Where PATH finds them; systemd is real where it is there."""
    shutil.rmtree(BIN, ignore_errors=True)
    BIN.mkdir(parents=True)
    wanted = dict(PROGRAMS)
    if not Path("/run/systemd/system").exists():
        wanted["systemctl"] = SYSTEMCTL
    for name, place in wanted.items():
        (BIN / name).symlink_to(ROOT / place)


def _name_page(address: str) -> None:
    """Let the page's name lead to the Ingress, and to nothing without an address."""
    lines = [line for line in HOSTS.read_text().splitlines() if MARK not in line]
    lines += [f"{address} {HOST} {MARK}"] if address else []
    # In its place: in containers it is a mount.
    HOSTS.write_text("\n".join(lines) + "\n")


def _set_sign_aside() -> None:
    if SIGN.exists():
        SIGN.unlink()
        (FOLDER / "sign").touch()


def _restore_sign() -> None:
    if (FOLDER / "sign").exists():
        SIGN.touch()
        (FOLDER / "sign").unlink()


def _install_crds(target: Cluster) -> None:
    target.apply(*definitions())
    for one in definitions():
        name = one["metadata"]["name"]
        target.until(lambda: target.established(name), f"{name} is served")  # noqa: B023


def _start_controller(found: Facts) -> None:
    log = FOLDER / "controller.log"
    words = ["--kubeconfig", str(FOLDER / "cluster/kubeconfig"), "--fast", "--routers", "pods"]
    words += ["--host", found.host, "--cluster-host", next(iter(found.nodes.values()))]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.standins.skupper.controller", *words],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    (FOLDER / "controller.pid").write_text(str(process.pid))
    end = time.monotonic() + START_SECONDS
    while b"serving" not in log.read_bytes():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"the stand-in for Skupper's controller does not serve: {log.read_text()}")
        time.sleep(0.1)


def _stop_controller() -> None:
    try:
        pid = int((FOLDER / "controller.pid").read_text())
        if b"skupper.controller" not in Path(f"/proc/{pid}/cmdline").read_bytes():
            return
        os.kill(pid, signal.SIGTERM)
        while Path(f"/proc/{pid}/cmdline").read_bytes():
            time.sleep(0.1)
    except OSError:
        return


def _remove_rest() -> None:
    """What a run that was killed has left: the next one begins on an empty system."""
    site, unit = SITE_PLACES
    if unit.exists():
        real = Path("/run/systemd/system").exists()
        command = ["systemctl" if real else str(ROOT / SYSTEMCTL), "disable", "--now", UNIT]
        subprocess.run(command, capture_output=True, timeout=60, check=False)
        unit.unlink()
    for folder in (unit.with_name(f"{UNIT}.d"), site, FOLDER / "data", MINE):
        shutil.rmtree(folder, ignore_errors=True)


def up() -> int:
    """Start everything; the exit status."""
    down()
    FOLDER.mkdir(parents=True, exist_ok=True)
    _install_programs()
    _set_sign_aside()
    status = cluster_up(FOLDER / "cluster")
    if status:
        return status
    found = facts()
    for name in (CHATBOT_IMAGE, router_image.build()):
        load_image(found, name)
    _install_crds(cluster())
    _start_controller(found)
    _name_page(found.ingress)
    return 0


def down() -> int:
    """Remove it; the exit status."""
    _stop_controller()
    _name_page("")
    _restore_sign()
    _remove_rest()
    return cluster_down(FOLDER / "cluster")


def left() -> list[str]:
    """What is still there of the things that site.yml makes."""
    there = cluster()
    found = [
        f"namespace {one.metadata.name}"
        for one in there.core.list_namespace().items
        if one.metadata.name == NAMESPACE
    ]
    return found + [str(one) for one in SITE_PLACES if one.exists()] + left_on_host()


def main() -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["up", "left", "down"])
    command = parser.parse_args().command
    if command == "left":
        found = left()
        print("\n".join(found) or "nothing is left")
        return 1 if found else 0
    return up() if command == "up" else down()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RuntimeError as problem:
        sys.exit(str(problem))
