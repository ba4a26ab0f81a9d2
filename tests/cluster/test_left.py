"""Nothing of a cluster is left, whatever ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.facts import Facts
from tests.cluster.processes import CGROUPS
from tests.cluster.programs import ROOT

RUN = """
import sys, time
from pathlib import Path
from tests.cluster.cluster import started
with started(Path(sys.argv[1])):
    print("ready", flush=True)
    time.sleep(600)
"""


SWEEP = "from tests.cluster.processes import Workspace; Workspace().close()"


def left_of(facts: Facts) -> list[str]:
    """What of a cluster is still on this machine."""
    interfaces = os.listdir("/sys/class/net")
    link = f"pait{facts.host.split('.')[1]}"
    processes = [pid for pid in os.listdir("/proc") if pid.isdigit() and _belongs(pid, facts)]
    name = Path(facts.folder).name
    groups = [str(path) for path in (CGROUPS / name, *CGROUPS.glob(f"*/{name}")) if path.exists()]
    mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if name in line]
    folder = [facts.folder] if Path(facts.folder).exists() else []
    return [one for one in interfaces if one == link] + processes + groups + mounts + folder


def _belongs(pid: str, facts: Facts) -> bool:
    """Whether this process is its keeper, works in its folder, or is in a container of it."""
    try:
        texts = [Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "cgroup")]
    except OSError:
        return False
    # One that ended and was not collected yet has no command line.
    keeper = pid == str(facts.supervisor) and bool(texts[0])
    return keeper or any(Path(facts.folder).name.encode() in text for text in texts)


@pytest.mark.parametrize(
    "victim", ["the test run", pytest.param("the keeper of the cluster", marks=pytest.mark.extended)]
)
def test_nothing_is_left_after_a_kill(cluster: Cluster, tmp_path: Path, victim: str) -> None:
    own = cluster.own
    command = [sys.executable, "-c", RUN, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as run:
        try:
            assert run.stdout and run.stdout.readline() == b"ready\n"
            facts = Facts.read(tmp_path / "cluster.json")
            assert facts.host != own.host
            other = Cluster(tmp_path / "kubeconfig", facts)
            other.start_probe("default", "one")
            assert len(left_of(facts)) > 10
            os.kill(run.pid if victim == "the test run" else facts.supervisor, signal.SIGKILL)
            if victim != "the test run":
                # The kernel ends everything else; the folder and the control groups wait for the next run.
                cluster.until(lambda: all(one.startswith("/") for one in left_of(facts)), "the rest is gone")
                run.kill()
                subprocess.run([sys.executable, "-c", SWEEP], cwd=ROOT, check=True, timeout=120)
        finally:
            run.kill()
    cluster.until(lambda: not left_of(facts), "nothing is left")
    assert left_of(own)


@pytest.mark.parametrize("kind", [pytest.param([], marks=pytest.mark.extended), ["--only-api"]])
def test_a_cluster_for_people_stays_until_it_is_taken_down(
    cluster: Cluster, tmp_path: Path, kind: list[str]
) -> None:
    assert cluster.own

    def cli(command: str) -> str:
        arguments = [sys.executable, "-m", "tests.cluster", command, *kind, "--folder", str(tmp_path)]
        # A pipe that the cluster held open would end in a timeout.
        done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
        return done.stdout

    try:
        assert f"KUBECONFIG={tmp_path / 'kubeconfig'}" in cli("up")
        facts = Facts.read(tmp_path / "cluster.json")
        assert f"KUBECONFIG={tmp_path / 'kubeconfig'}" in cli("up")
        assert Facts.read(tmp_path / "cluster.json") == facts
        nodes = Cluster(tmp_path / "kubeconfig", facts).core.list_node().items
        assert len(nodes) == len(facts.nodes) == (0 if kind else 2)
    finally:
        assert "is gone" in cli("down")
    cluster.until(lambda: not left_of(facts), "nothing is left")
    assert "no cluster" in cli("down")
