"""Conversion for real: R1's layout into the model server, and the same bytes wherever it runs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import gguf
import pytest
from gguf import TokenType

from tests.converter.conftest import DEMO, IMAGE, Run, in_image

CONVERTER = "localhost/private-ai/converter:0.3.36"
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
