"""The test cluster for people and for scenarios: `make cluster`, `make cluster-down`.

`make apiserver` and `make apiserver-down`: its API and controllers alone, without nodes and without root.

    python -m tests.cluster up [--folder DIR]       start one in the background, say how to use it
    python -m tests.cluster down [--folder DIR]     remove it
    python -m tests.cluster load IMAGE [--folder DIR]   give an image of Podman to its nodes
    python -m tests.cluster serve --folder DIR      start one; it ends with standard input
    python -m tests.cluster build                   only build what it needs

DIR gets `kubeconfig` and `cluster.json` (addresses). It is .cache/cluster unless given, and .cache/apiserver
with --only-api. With --traefik, Ingress objects are served by Traefik, and load balancers get no address.
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

from tests.cluster.cluster import load_image
from tests.cluster.facts import Facts
from tests.cluster.programs import ROOT
from tests.cluster.supervisor import Supervisor, build_what, keep_logs

FOLDERS = {False: ROOT / ".cache/cluster", True: ROOT / ".cache/apiserver"}
END_SECONDS = 60


def serve(folder: Path, stays: bool, only_api: bool, traefik: bool) -> int:
    """Keep a cluster until told to end; returns the exit status."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: sys.exit(0))
    folder.mkdir(parents=True, exist_ok=True)
    facts, kubeconfig = folder / "cluster.json", folder / "kubeconfig"
    facts.unlink(missing_ok=True)
    supervisor = Supervisor(only_api, traefik)
    try:
        found = supervisor.start()
        kubeconfig.unlink(missing_ok=True)
        shutil.copy(found.kubeconfig, kubeconfig)
        found.write(facts)
        supervisor.look_after(stays)
    except RuntimeError as error:
        print(f"{error}\nthe logs: {keep_logs(supervisor.folder)}", file=sys.stderr, flush=True)
        return 1
    finally:
        # Nothing interrupts the end.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        facts.unlink(missing_ok=True)
        kubeconfig.unlink(missing_ok=True)
        supervisor.stop()
    return 0


def running(folder: Path) -> Facts | None:
    """The cluster of this folder, unless it was killed."""
    try:
        facts = Facts.read(folder / "cluster.json")
    except FileNotFoundError:
        return None
    try:
        command = Path(f"/proc/{facts.supervisor}/cmdline").read_bytes()
    except OSError:
        return None
    return facts if b"tests.cluster" in command else None


def up(folder: Path, only_api: bool = False, traefik: bool = False) -> int:
    """Start one in the background; returns the exit status."""
    facts = running(folder)
    if not facts:
        (folder / "cluster.json").unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.cluster", "serve", "--stay", "--folder", str(folder)]
        command += ["--only-api"] * only_api + ["--traefik"] * traefik
        build_what(only_api, traefik)
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / "serve.log"
        # It stays when this ends, and must not hold the pipe that we may write to.
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        while not facts:
            if process.poll() is not None:
                print(f"the cluster did not start:\n{log.read_text()}", file=sys.stderr)
                return process.returncode or 1
            time.sleep(0.2)
            facts = running(folder)
    if only_api:
        print("An API of Kubernetes without nodes runs; the end: make apiserver-down")
        print(f"  export KUBECONFIG={folder / 'kubeconfig'}", flush=True)
        return 0
    print(f"A Kubernetes of two nodes runs: {', '.join(f'{n} {a}' for n, a in facts.nodes.items())}")
    print(f"  export KUBECONFIG={folder / 'kubeconfig'}")
    print(f"  Ingress objects of class nginx: http(s)://{facts.ingress}; names of Services: {facts.dns}")
    print(f"  this machine, as pods see it: {facts.host}")
    print("  images: .venv/bin/python -m tests.cluster load IMAGE; the end: make cluster-down", flush=True)
    return 0


def down(folder: Path) -> int:
    """Remove it; returns the exit status."""
    facts = running(folder)
    if not facts:
        print(f"no cluster of {folder} runs")
        return 0
    os.kill(facts.supervisor, signal.SIGTERM)
    end = time.monotonic() + END_SECONDS
    while running(folder) or Path(facts.folder).exists():
        if time.monotonic() > end:
            print(f"it still runs after {END_SECONDS} s; remedy: kill -9 {facts.supervisor}")
            return 1
        time.sleep(0.2)
    print("the cluster is gone")
    return 0


def main() -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.cluster",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=["up", "down", "load", "serve", "build"])
    parser.add_argument("image", nargs="?")
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--only-api", action="store_true", help="an API and controllers, without nodes")
    parser.add_argument("--traefik", action="store_true", help="Ingress objects are served by Traefik")
    parser.add_argument("--stay", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    folder = (options.folder or FOLDERS[options.only_api]).resolve()
    if options.command == "build":
        build_what(options.only_api, options.traefik)
        return 0
    if options.command == "serve":
        return serve(folder, options.stay, options.only_api, options.traefik)
    if options.command == "up":
        return up(folder, options.only_api, options.traefik)
    if options.command == "down":
        return down(folder)
    facts = running(folder)
    if not facts or not options.image:
        parser.error("no image is named" if facts else f"no cluster of {folder} runs; remedy: make cluster")
    load_image(facts, options.image)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RuntimeError as problem:
        sys.exit(str(problem))
