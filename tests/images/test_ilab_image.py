"""The serving image as built: it answers under every restriction the role puts on it, and says why it cannot.

    IMAGE=localhost/private-ai/ilab:dev pytest tests/images

Needs podman and the image; IMAGE_CPU says what it was made for (native, avx2, plain). PODMAN_RUN_ARGS holds
what `podman run` needs on this host (for example "--runtime runc --ulimit nofile=1024:1024", split at spaces,
--runtime first).
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

import gguf
import pytest

IMAGE = os.environ.get("IMAGE", "")
STAND_IN = Path(__file__).parents[1] / "standins" / "random_gguf.py"
RESTRICTIONS = (
    "--read-only --tmpfs /tmp --cap-drop all --security-opt no-new-privileges --user 1001 --network none"
).split()
LIMIT_BYTES = 450_000_000
#: What llama.cpp may say that it was compiled with, where it was not compiled for this very host.
FEATURES = {"avx2": {"SSE3", "SSSE3", "AVX", "AVX2", "F16C", "FMA", "BMI2"}, "plain": {"SSE3"}}
#: What it names that is no instruction of a processor.
NEUTRAL = {"OPENMP", "REPACK", "LLAMAFILE"}

pytestmark = [
    pytest.mark.skipif(not IMAGE, reason="IMAGE names no image to test"),
    pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed"),
]


def run_args() -> tuple[list[str], list[str]]:
    """Podman's own arguments, and those of `podman run`, that this host needs."""
    words = shlex.split(os.environ.get("PODMAN_RUN_ARGS", ""))
    if words[:1] == ["--runtime"]:
        return words[:2], words[2:]
    return [], words


def in_image(
    entrypoint: str, *arguments: str, options: tuple[str, ...] = (), stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one command in a throw-away container of the image, restricted as in production."""
    before, after = run_args()
    name = f"private-ai-test-{uuid.uuid4().hex[:8]}"
    command = ["podman", *before, "run", "--rm", "-i", "--name", name, *after, *RESTRICTIONS, *options]
    try:
        return subprocess.run(
            [*command, "--entrypoint", entrypoint, IMAGE, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
    finally:
        subprocess.run(["podman", "rm", "-f", "-i", name], capture_output=True, check=False)


def inspect(field: str) -> str:
    """One field of the image, named by a Go template."""
    command = ["podman", "image", "inspect", "--format", field, IMAGE]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def make_model(folder: Path, name: str, *arguments: str) -> Path:
    """A stand-in model, made by the image's own Python (it has gguf and numpy)."""
    folder.chmod(0o777)
    mount, script = ("-v", f"{folder}:/out:rw"), STAND_IN.read_text()
    made = in_image("python", "-", f"/out/{name}", *arguments, options=mount, stdin=script)
    assert made.returncode == 0, made.stderr
    return folder / name


def smoke(model: Path) -> tuple[int, dict[str, object]]:
    """Exit status and result line of model-smoke for one file."""
    done = in_image(
        "model-smoke",
        "--model-path",
        f"/models/{model.name}",
        "--timeout",
        "120",
        options=("-v", f"{model.parent}:/models:ro"),
    )
    assert done.stdout.strip(), done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with the vocabulary of the DeepSeek-R1 Qwen distills."""
    return make_model(tmp_path_factory.mktemp("models"), "random.gguf")


def test_deepseek_vocabulary_loads_and_answers(good: Path) -> None:
    """The published crash: ilab's pinned llama.cpp refused the pre-tokenizer `deepseek-r1-qwen`."""
    assert b"deepseek-r1-qwen" in good.read_bytes()
    status, result = smoke(good)
    assert status == 0, result
    assert result["ok"] is True
    assert int(str(result["answer_chars"])) > 0


def test_unknown_pre_tokenizer_is_named(tmp_path: Path) -> None:
    """The same failure, as it looks when it does happen: not a zero exit status, and with the reason."""
    status, result = smoke(make_model(tmp_path, "foreign.gguf", "--pre", "no-such-tokenizer"))
    assert status == 1
    assert "no-such-tokenizer" in str(result["reason"])


@pytest.mark.parametrize(
    ("name", "damage", "reason"),
    [
        ("truncated.gguf", lambda data: data[: len(data) // 2], "truncated"),
        ("text.gguf", lambda data: b"hello, I am not a model\n" * 99, "not in GGUF format"),
        ("foreign.gguf", lambda data: data.replace(b"qwen2", b"qwenX"), "architecture 'qwenX'"),
        ("hollow.gguf", lambda data: data.replace(b"blk.1.ffn_up", b"blk.1.ffn_xx"), "lacks the tensor"),
    ],
)
def test_bad_file_is_refused_with_its_reason(
    good: Path, name: str, damage: Callable[[bytes], bytes], reason: str
) -> None:
    """Each kind of bad file ends with status 1 and a sentence naming the file and what is wrong."""
    bad = good.parent / name
    bad.write_bytes(damage(good.read_bytes()))
    bad.chmod(0o644)
    status, result = smoke(bad)
    assert status == 1
    assert name in str(result["reason"]) and reason in str(result["reason"]), result


def test_weights_that_know_nothing_are_refused(good: Path) -> None:
    """Everything that can be read of the file is right, and all weights are zero."""
    bad, data, start = good.parent / "zeros.gguf", good.read_bytes(), gguf.GGUFReader(good).data_offset
    bad.write_bytes(data[:start] + bytes(len(data) - start))
    bad.chmod(0o644)
    status, result = smoke(bad)
    assert status == 1 and "answered without a word" in str(result["reason"]), result


def test_failed_serve_does_not_exit_zero(good: Path) -> None:
    """ilab exits 0 when loading fails; the image's entry point must not."""
    bad = good.parent / "short.gguf"
    bad.write_bytes(good.read_bytes()[:100_000])
    bad.chmod(0o644)
    mount = ("-v", f"{good.parent}:/models:ro")
    done = in_image("serve", "--model-path", "/models/short.gguf", "--port", "8000", options=mount)
    assert done.returncode == 1
    assert "ilab ended by itself" in done.stderr


def test_stray_variables_do_not_reach_the_server(tmp_path: Path) -> None:
    """llama-cpp-python takes settings from the environment: only API_KEY may pass."""
    (tmp_path / "ilab").write_text("#!/bin/sh\nenv\n")  # stands in for ilab: prints what it was given
    (tmp_path / "ilab").chmod(0o755)
    tmp_path.chmod(0o755)
    path = "PATH=/standin:/usr/local/bin:/usr/bin:/bin"
    settings = ("SEED=7", "CONFIG_FILE=/x", "N_CTX=1", "API_KEY=inner", path)
    given = [word for setting in settings for word in ("-e", setting)]
    done = in_image("serve", "--model-path", "/m", options=("-v", f"{tmp_path}:/standin:ro", *given))
    seen = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert seen.get("API_KEY") == "inner", done.stdout + done.stderr
    assert seen["INTERRUPT_REQUESTS"] == "false"
    assert not {"SEED", "CONFIG_FILE", "N_CTX"} & set(seen)


def test_no_torch_no_pip_not_root() -> None:
    """What serving does not need is absent, and the image's own user is a number that is not 0."""
    unwanted = ["torch", "transformers", "pip", "setuptools"]
    probe = f"import importlib.util as u; print([n for n in {unwanted} if u.find_spec(n)])"
    done = in_image("python", "-c", probe)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
    assert inspect("{{.Config.User}}") == "1001"


def test_size() -> None:
    """The image, base included, stays under its limit."""
    assert int(inspect("{{.Size}}")) < LIMIT_BYTES


def test_compiled_for_the_processors_that_were_asked_for() -> None:
    """An image for other hosts has no instruction that they lack; one for this has what this has."""
    probe = "import llama_cpp; print(llama_cpp.llama_print_system_info().decode())"
    done = in_image("python", "-c", probe)
    found = set(re.findall(r"(\w+) = 1", done.stdout)) - NEUTRAL
    cpu = os.environ.get("IMAGE_CPU", "native")
    if cpu == "native":
        flags = set(re.findall(r"\w+", Path("/proc/cpuinfo").read_text().lower()))
        assert ("avx2" in flags) == ("AVX2" in found), done.stdout + done.stderr
    else:
        assert found <= FEATURES[cpu], done.stdout
        assert cpu == "plain" or "AVX2" in found, done.stdout
