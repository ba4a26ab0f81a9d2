"""Conversion for real: R1's layout into the model server, and what happens when a run is cut or crowded."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.gguf_model.plan import container_name
from gguf import TokenType

from tests.converter.conftest import DEMO, Run, in_image, podman_words

CONVERTER = "localhost/private-ai/converter:0.3.36"
IMAGE = os.environ.get("IMAGE", "localhost/private-ai/ilab:0.26.1")
REPOSITORY = "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B"
LIMIT_BYTES = 950_000_000


def field(reader: gguf.GGUFReader, name: str) -> Any:
    """A metadata value of a GGUF."""
    found = reader.get_field(name)
    assert found is not None, f"the file has no {name}"
    return found.contents()


def test_image_is_small_and_cannot_build() -> None:
    """What only building needs stays outside."""
    size = ["podman", "image", "inspect", "--format={{.Size}} {{.User}}", CONVERTER]
    known = subprocess.run(size, capture_output=True, text=True, check=True).stdout.split()
    assert int(known[0]) < LIMIT_BYTES and known[1] == "1001"
    found = in_image(CONVERTER, "sh", "-c", "ls /build; command -v g++ gcc pip; ls /opt")
    assert found.stdout.split() == ["converter", "llama.cpp"]


def test_r1_is_converted_quantised_and_served(distilled: Path, place: Path) -> None:
    """The whole way of the default model, but for its weights."""
    dest = place / "model.gguf"
    wanted = {"source": str(distilled), "dest": str(dest), "outtype": "bf16", "quantization": "Q4_K_M"}
    made = Run(place.parent, {**wanted, "provenance": {"repository": REPOSITORY, "commit": "1"}}).result()
    assert made.get("changed"), made
    assert made["model"]["pre_tokenizer"] == "deepseek-r1-qwen" and made["model"]["quantization"] == "Q4_K"
    assert made["model"]["name"] == "DeepSeek-R1-Distill-Qwen-1.5B"

    reader = gguf.GGUFReader(dest)
    template = json.loads((distilled / "tokenizer_config.json").read_text())["chat_template"]
    assert field(reader, "tokenizer.chat_template") == template and "<think>" in template
    tokens, kinds = field(reader, "tokenizer.ggml.tokens"), field(reader, "tokenizer.ggml.token_type")
    kind = {name: TokenType(kinds[tokens.index(name)]) for name in tokens[151643:151650]}
    assert kind["<\uff5cUser\uff5c>"] == kind["<\uff5cend\u2581of\u2581sentence\uff5c>"] == TokenType.CONTROL
    assert kind["<think>"] == kind["</think>"] == TokenType.USER_DEFINED
    assert field(reader, "general.sampling.temp") == pytest.approx(0.6)
    texts = {name: field(reader, name) for name in reader.fields if name.startswith("private_ai.")}
    assert texts["private_ai.source.repository"] == REPOSITORY
    assert not [text for text in texts.values() if str(distilled) in text or "/source/" in text]

    served = in_image(IMAGE, "model-smoke", "--model-path", "/m/model.gguf", mount=f"{place}:/m:ro")
    assert json.loads(served.stdout.splitlines()[-1])["ok"], served.stdout


@pytest.mark.parametrize("quantization", ["Q8_0", "Q4_K_M"])
def test_result_depends_on_nothing_but_its_inputs(tiny: Path, place: Path, quantization: str) -> None:
    """Another directory, another name of the file, other threads: the same bytes."""
    made = []
    for number, source in enumerate((tiny, DEMO), 1):
        wanted = {"source": str(source), "dest": str(place / f"{number}.gguf"), "threads": number}
        made.append(Run(place.parent, {**wanted, "quantization": quantization, "provenance": {}}).result())
    assert made[0]["model"]["sha256"] == made[1]["model"]["sha256"]
    assert made[0]["manifest"]["inputs"] == made[1]["manifest"]["inputs"]


def test_demo_model_is_what_the_module_makes(tiny: Path, place: Path) -> None:
    """After a change of its weights: `make demo-gguf`."""
    settings = json.loads((DEMO / "training/conversion.json").read_text())
    made = Run(place.parent, {"source": str(tiny), "dest": str(place / "demo.gguf"), **settings}).result()
    assert made.get("changed"), made
    assert (place / "demo.gguf").read_bytes() == (DEMO / "demo.gguf").read_bytes()


def test_killed_at_every_step(medium: Path, place: Path) -> None:
    """What was there stays to the last; the run after removes what the killed one left, its container too."""
    dest, output = place / "model.gguf", place / ".model.gguf.work" / "output"
    dest.write_bytes(b"what is served now")
    wanted = {"source": str(medium), "dest": str(dest), "quantization": "Q4_K_M"}

    def grows(name: str) -> Callable[[], bool]:
        return lambda: (output / name).exists() and (output / name).stat().st_size > 0

    def said(text: str) -> Callable[[], bool]:
        return lambda: text in (place.parent / "progress").read_text()

    steps = [
        said("asking the converter"),
        grows("intermediate.gguf"),
        grows("model.gguf"),
        said("checking the result"),
    ]
    for step, reached in enumerate(steps):
        run = Run(place.parent, wanted)
        run.until(reached)
        run.process.kill()
        run.process.wait()
        assert dest.read_bytes() == b"what is served now", step
        assert os.listdir(place).count("model.gguf.manifest.json") == 0
    made = Run(place.parent, wanted).result()
    assert made.get("changed"), made
    assert sorted(os.listdir(place)) == ["model.gguf", "model.gguf.manifest.json"]
    assert not Run(place.parent, wanted).result()["changed"]


def test_container_of_a_killed_run_is_in_nobodys_way(tiny: Path, place: Path) -> None:
    """It may still work when its run was killed, or the host may have kept its name."""
    dest = place / "model.gguf"
    before, after = podman_words()
    command = ["podman", *before, "run", "--detach", f"--name={container_name(str(dest))}", *after]
    subprocess.run([*command, "--entrypoint=/usr/bin/sleep", IMAGE, "600"], check=True, capture_output=True)
    made = Run(place.parent, {"source": str(tiny), "dest": str(dest)}).result()
    assert made.get("changed"), made


def test_two_runs_at_once(tiny: Path, place: Path, tmp_path: Path) -> None:
    """The second waits, and then finds it made."""
    wanted = {"source": str(tiny), "dest": str(place / "model.gguf")}
    first = Run(place.parent, wanted)
    first.until(lambda: first.said("asking the converter"))
    (tmp_path / "second").mkdir()
    second = Run(tmp_path / "second", wanted)
    one, two = first.result(), second.result()
    assert one["changed"] and not two["changed"] and one["model"] == two["model"]
    assert second.said("waiting for another run")


@pytest.fixture
def small_disk(place: Path) -> Any:
    """A file system of 6 MB."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_disk_that_is_full_or_fills(tiny: Path, medium: Path, small_disk: Path) -> None:
    """Said before the work where it can be foreseen, otherwise as soon as it is seen; the old file stays."""
    dest = small_disk / "model.gguf"
    dest.write_bytes(b"what is served now")
    wanted = {"source": str(medium), "dest": str(dest)}
    foreseen = Run(small_disk.parent, wanted).result()
    assert foreseen["failed"] and "bytes free, making model.gguf needs about" in foreseen["msg"]
    run = Run(small_disk.parent, {**wanted, "source": str(tiny)})
    run.until(lambda: run.said("asking the converter"))
    filler = small_disk / "filler"
    free = os.statvfs(small_disk)
    filler.write_bytes(bytes(free.f_bavail * free.f_frsize - 1_000_000))
    full = run.result()
    assert full["failed"] and "are free where dest is; make room" in full["msg"], full
    assert dest.read_bytes() == b"what is served now"
    assert sorted(os.listdir(small_disk)) == ["filler", "model.gguf"]
    filler.unlink()
    assert Run(small_disk.parent, {**wanted, "source": str(tiny)}).result()["changed"]


def test_tokenizer_that_nobody_knows(tiny: Path, place: Path, tmp_path: Path) -> None:
    """Refused before anything is written, with what is known."""
    from tests.standins import random_hf_model

    letters = [chr(33 + number) for number in range(90)]
    whole, config = random_hf_model.tokenizer(letters, [], "")
    whole["added_tokens"], whole["post_processor"] = [], None
    for name in ("bos_token", "eos_token", "pad_token"):
        config.pop(name)
    source = tmp_path / "unknown"
    shutil.copytree(tiny, source, ignore=shutil.ignore_patterns("tokenizer*", "special*"))
    (source / "tokenizer.json").write_text(json.dumps(whole))
    (source / "tokenizer_config.json").write_text(json.dumps({**config, "add_bos_token": False}))
    refused = Run(place.parent, {"source": str(source), "dest": str(place / "model.gguf")}).result()
    assert (
        refused["failed"]
        and "its tokenizer splits text in a way that llama.cpp does not know" in refused["msg"]
    )
    assert "deepseek-r1-qwen" in refused["supported"] and os.listdir(place) == []
