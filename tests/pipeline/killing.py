"""Kills runs of the role at points early and late in each step, and looks what is left."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from ansible_collections.private_ai.chatbot.plugins.module_utils.files import sha256_of

from tests.pipeline.host import Host, demo_files
from tests.pipeline.points import POINTS as ROUGH
from tests.pipeline.points import running
from tests.standins.hub.repository import Repository
from tests.standins.hub.serve import StandInHub

WEIGHTS = "model.safetensors"
#: Says that a program waits before what it was to be held before, in the folder of a host.
HELD = "held"


class Point(NamedTuple):
    """When a run is killed; and before which audit event, with what about it, its program waits for that."""

    reached: Callable[[Host, StandInHub, str], bool]
    held: tuple[str, str] | None = None


def before(event: str, about: str) -> Point:
    """Just before a program does something that Python announces."""
    return Point(lambda host, hub, said: (host.folder / HELD).exists(), (event, about))


def named(path: str) -> Point:
    """Just before a file or directory gets its name."""
    return before("os.rename", rf" \S+/{path}$")


def asked(podman: str) -> Point:
    """Just before Podman is asked for something."""
    return before("subprocess.Popen", podman)


def rough(name: str) -> Point:
    """Somewhere in the middle."""
    return Point(lambda host, hub, said: ROUGH[name](hub, said))


def half(host: Host, hub: StandInHub, said: str) -> bool:
    """Whether about half of the weights came."""
    return hub.stats.sent[WEIGHTS] > 700_000


def between(host: Host, hub: StandInHub, said: str) -> bool:
    """Whether a model is converted that is to be quantised."""
    found = host.data.glob("converted/.*.work/output/intermediate.gguf")
    return any(path.stat().st_size for path in found)


POINTS = {
    # Download
    "comes": Point(half),
    "came": before("ctypes.dlsym", " renameat2$"),
    "placed": before("shutil.rmtree", r"/sources/\.\S+\.partial "),
    # Conversion
    "converts": rough("convert"),
    "between": Point(between),
    "quantised": before("open", r"/\.\S+\.gguf\.work/output/model\.gguf "),
    "converted": named(r"converted/[^/]+\.gguf"),
    "without-manifest": named(r"converted/[^/]+\.gguf\.manifest\.json"),
    # Candidate and trial
    "checked": rough("candidate"),
    "kept": named(r"models/[0-9a-f]{12}/model\.gguf"),
    "loads": rough("trial"),
    "loaded": named(r"evaluations/\S+\.trial\.json"),
    "asks": rough("questions"),
    "answered": named(r"evaluations/[0-9a-f]{12}\.json"),
    # Model servers, as with private_model_backend=container
    "renamed": asked(" create --name=private-ai-model-1 "),
    "stopped": asked(" start private-ai-model-1$"),
    "replaced": asked(" rm --force private-ai-model-1-replaced$"),
    "second-stopped": asked(" start private-ai-model-2$"),
    # Record
    "served": named(r"models/served\.json"),
    "surplus": before("shutil.rmtree", "/models/[0-9a-f]{12} "),
    "noted": named(r"models/\.made-from\.json"),
    "claimed": before("os.remove", r"/\.run\.json "),
    "complete": named(r"\.converged\.json"),
    # Training
    "trains": Point(lambda host, hub, said: running("private-ai-train-[0-9a-f]{12}$")),
    "trained": named(r"content/training\.json"),
    "trained-placed": before("shutil.rmtree", r"/trained/\.\S+\.training(/\S+)? "),
}


def kill(host: Host, hub: StandInHub, name: str, **variables: Any) -> None:
    """Kill a run of the role at a point."""
    point, own = POINTS[name], {}
    (host.folder / HELD).unlink(missing_ok=True)
    if point.held:
        own = {"HELD_BEFORE": point.held[0], "HELD_WITH": point.held[1]}
        own["HELD_FILE"] = str(host.folder / HELD)
        own["PYTHONPATH"] = str(Path(__file__).with_name("holding"))
    with mock.patch.dict(os.environ, own):
        reached = host.kill_when(lambda said: point.reached(host, hub, said), **variables)
    said = (host.folder / "killed.log").read_text()
    assert reached, f"the play ended before {name!r}: {said[-3000:]}"


def another(repository: Repository) -> None:
    """A commit with another file of the same weights, so that every step has something to do."""
    files, space = demo_files(), 8 * len(repository.commits)
    weights = files[WEIGHTS]
    length = int.from_bytes(weights[:8], "little")
    # Blanks after the header mean nothing.
    head = (length + space).to_bytes(8, "little") + weights[8 : 8 + length] + b" " * space
    repository.commit({**files, WEIGHTS: head + weights[8 + length :]})


def whole(host: Host) -> bool:
    """Whether every model that is kept under its checksum is the one that its name says."""
    kept = list((host.data / "models").glob("*/model.gguf"))
    return bool(kept) and all(sha256_of(str(path))[:12] == path.parent.name for path in kept)


def hidden(host: Host) -> set[str]:
    """Hidden names in the data directory: temporary ones are among them."""
    return {str(path.relative_to(host.data)) for path in host.data.rglob(".*")}


def containers() -> set[str]:
    """Containers of ours, or of an image of ours."""
    listed = ["podman", "ps", "--all", "--format={{.Names}} {{.Image}}"]
    found = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split()[0] for line in found if "private-ai" in line}
