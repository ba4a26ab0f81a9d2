"""The module and the image that convert models, together; tools/run_tests.py builds the image."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.gguf_model.plan import container_name

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "roles/private_model/files/demo_model"
MODULE = "ansible_collections.private_ai.chatbot.plugins.modules.gguf_model"
IMAGE = os.environ.get("IMAGE", "localhost/private-ai/ilab:0.26.1")
SDIST = "llama_cpp_python-0.3.36.tar.gz"


def podman_words() -> tuple[list[str], list[str]]:
    """Podman's own arguments, and those of `podman run`, that this host needs (PODMAN_RUN_ARGS)."""
    words = shlex.split(os.environ.get("PODMAN_RUN_ARGS", ""))
    return (words[:2], words[2:]) if words[:1] == ["--runtime"] else ([], words)


def options() -> dict[str, Any]:
    """The same as options of the module."""
    before, after = podman_words()
    limits = dict(word.split("=", 1) for word in after if "=" in word)
    return {"runtime": before[1] if before else None, "ulimits": limits or None}


def in_image(
    image: str, entrypoint: str, *arguments: str, mount: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run one command in a throw-away container, closed as in production."""
    before, after = podman_words()
    command = [
        "podman",
        *before,
        "run",
        "--rm",
        "--network=none",
        "--read-only",
        "--tmpfs=/tmp",
        "--user=1001",
    ]
    command += [
        "--cap-drop=all",
        *after,
        *([f"--volume={mount}"] if mount else []),
        f"--entrypoint={entrypoint}",
    ]
    return subprocess.run(
        [*command, image, *arguments], capture_output=True, text=True, timeout=1200, check=False
    )


class Run:
    """The module at work in a process of its own."""

    module = MODULE

    def __init__(self, folder: Path, params: dict[str, Any]) -> None:
        self.progress, self.log = folder / "progress", folder / "log"
        self.progress.write_text("")
        arguments = folder / "arguments.json"
        own = {"progress_file": str(self.progress), "log_file": str(self.log), **options()}
        chosen = {name: value for name, value in {**own, **params}.items() if value is not None}
        arguments.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": chosen}))
        self.process = subprocess.Popen(
            [sys.executable, "-m", self.module, str(arguments)],
            env={**os.environ, "PYTHONPATH": str(ROOT / "collections")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def until(self, reached: Callable[[], bool]) -> None:
        """Wait until something holds; AssertionError when the module ends before."""
        while not reached():
            assert self.process.poll() is None, self.process.communicate()[0]
            time.sleep(0.01)

    def said(self, text: str) -> bool:
        """Whether the progress has these words."""
        return text in self.progress.read_text()

    def result(self, limit: float = 400) -> dict[str, Any]:
        """Wait for its end and return what it says; it may not be silent for so many seconds."""
        heard, before = time.monotonic(), 0
        while True:
            try:
                output, _ = self.process.communicate(timeout=1)
                break
            except subprocess.TimeoutExpired:
                now = sum(file.stat().st_size for file in (self.progress, self.log) if file.exists())
                heard = heard if now == before else time.monotonic()
                assert time.monotonic() < heard + limit, (
                    f"silent for {limit} s: {self.progress.read_text()[-400:]}"
                )
                before = now
        found: dict[str, Any] = json.loads(output[output.index("{") :])
        return found


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """An empty directory for the result."""
    folder = tmp_path / "out"
    folder.mkdir()
    yield folder
    # Others may convert on this host, too.
    own = {container_name(str(folder / name)) for name in ("model.gguf", "demo.gguf", "1.gguf", "2.gguf")}
    listed = subprocess.run(
        ["podman", "ps", "--all", "--format={{.Names}}"], capture_output=True, text=True, check=True
    )
    assert not own & {*listed.stdout.split()}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model in the form of Hugging Face, at a place of its own."""
    folder = tmp_path_factory.mktemp("tiny") / "somewhere"
    shutil.copytree(DEMO, folder, ignore=shutil.ignore_patterns("*.gguf", "training"))
    return folder


@pytest.fixture(scope="session")
def medium(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights with the demo model's tokenizer, large enough that each step takes a while."""
    from tests.standins import random_hf_model

    folder = tmp_path_factory.mktemp("medium")
    layers, hidden = 24, 512
    sizes = {"hidden_size": hidden, "num_hidden_layers": layers, "intermediate_size": 2 * hidden}
    config = {**json.loads((DEMO / "config.json").read_text()), **sizes, "tie_word_embeddings": False}
    config.pop("layer_types", None)
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.model", "tokenizer_config.json"):
        shutil.copy(DEMO / name, folder)
    weights = random_hf_model.tensors([], config["vocab_size"], hidden, layers)
    random_hf_model.write_safetensors(folder / "model.safetensors", weights)
    return folder


@pytest.fixture(scope="session")
def sdist() -> Path:
    """llama-cpp-python's source distribution: the build of the image left it in the cache."""
    own = "/var/cache/private-ai" if os.geteuid() == 0 else Path.home() / ".cache/private-ai"
    return Path(own) / "wheels" / SDIST


@pytest.fixture(scope="session")
def distilled(tmp_path_factory: pytest.TempPathFactory, sdist: Path) -> Path:
    """The layout of DeepSeek-R1-Distill-Qwen-1.5B with random weights."""
    from tests.standins import random_hf_model

    folder = tmp_path_factory.mktemp("distilled") / "r1"
    random_hf_model.write(sdist, folder)
    return folder
