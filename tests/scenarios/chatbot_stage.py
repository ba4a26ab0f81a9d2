"""The stage of molecule/public_chatbot: a Kubernetes of two nodes, and the paced stand-in of a model.

    python -m tests.scenarios.chatbot_stage up|left|down       `left` says what state absent left behind

All is kept below MOLECULE_EPHEMERAL_DIRECTORY.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.cluster.__main__ import down as cluster_down
from tests.cluster.__main__ import up as cluster_up
from tests.cluster.cluster import load_image
from tests.gateway.gateway_stack import STAND_IN
from tests.hybrid.stage import CHATBOT_IMAGE, FOLDER, NAMESPACE, ROOT, cluster, facts

#: As in the scenario's group_vars.
KEY, PORT = "key-of-the-scenario-0123456789", 18781
PID = FOLDER / "model.pid"


def _start_model(host: str) -> None:
    words = [f"--host={host}", f"--port={PORT}", "--rate=10", "--tokens=20", f"--api-key={KEY}"]
    with (FOLDER / "model.log").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(STAND_IN), *words],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    PID.write_text(str(process.pid))


def _stop_model() -> None:
    try:
        command = Path(f"/proc/{int(PID.read_text())}/cmdline")
        if STAND_IN.name.encode() not in command.read_bytes():
            return
        os.kill(int(PID.read_text()), signal.SIGTERM)
        while command.read_bytes():
            time.sleep(0.1)
    except OSError:
        return


def up() -> int:
    """Start everything; the exit status."""
    down()
    FOLDER.mkdir(parents=True, exist_ok=True)
    status = cluster_up(FOLDER / "cluster")
    if status:
        return status
    found = facts()
    load_image(found, CHATBOT_IMAGE)
    _start_model(found.host)
    return 0


def down() -> int:
    """Remove it; the exit status."""
    _stop_model()
    return cluster_down(FOLDER / "cluster")


def left() -> int:
    """Say what is still there; 1 when there is something."""
    names = [one.metadata.name for one in cluster().core.list_namespace().items]
    print(f"namespace {NAMESPACE}" if NAMESPACE in names else "nothing is left")
    return int(NAMESPACE in names)


def main() -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["up", "left", "down"])
    return {"up": up, "left": left, "down": down}[parser.parse_args().command]()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RuntimeError as problem:
        sys.exit(str(problem))
