"""The demo model's files fit together: checksums, formats, chat template, and a fair held-out list."""

from __future__ import annotations

import importlib
import json
import stat
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFReader, TokenType
from jinja2.sandbox import ImmutableSandboxedEnvironment

MODEL = Path(__file__).resolve().parents[2] / "roles" / "private_model" / "files" / "demo_model"
TRAINING = MODEL / "training"
GGUF_LIMIT = 8 * 1024 * 1024
USER, ASSISTANT, THINK, END_THINK = "<｜User｜>", "<｜Assistant｜>", "<think>", "</think>"


@pytest.fixture(scope="module")
def text() -> Iterator[Any]:
    """The modules of the training folder, which is no package."""
    sys.path.insert(0, str(TRAINING))
    try:
        yield {name: importlib.import_module(name) for name in ("corpus", "evaluate", "manifest")}
    finally:
        sys.path.remove(str(TRAINING))


def load(name: str) -> Any:
    """A parsed JSON file of the model."""
    return json.loads((MODEL / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def reader() -> GGUFReader:
    """The GGUF that the quickstart serves."""
    return GGUFReader(MODEL / "demo.gguf")


def field(reader: GGUFReader, name: str) -> Any:
    """A metadata value of the GGUF."""
    found = reader.get_field(name)
    assert found is not None, f"demo.gguf has no {name}"
    return found.contents()


def render(messages: list[dict[str, str]], generate: bool) -> str:
    """What the chat template makes of a conversation, with the block handling of Hugging Face."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    config = load("tokenizer_config.json")
    return environment.from_string(config["chat_template"]).render(
        messages=messages,
        add_generation_prompt=generate,
        bos_token=config["bos_token"],
        eos_token=config["eos_token"],
    )


def test_files_are_those_of_the_manifest(text: Any) -> None:
    """A model replaced without its checksums, or half copied, is found before it is served."""
    manifest = load("manifest.json")
    assert manifest["files"] == text["manifest"].describe(MODEL)
    assert manifest["gguf"] == {"file": "demo.gguf", **manifest["files"]["demo.gguf"]}, "what the role places"


def test_files_are_readable_by_a_container_user_and_small() -> None:
    """safetensors writes 0600, which the container's user 1001 cannot read."""
    for name in load("manifest.json")["files"]:
        mode = (MODEL / name).stat().st_mode
        assert mode & stat.S_IROTH and not mode & 0o111, f"{name} has mode {stat.S_IMODE(mode):04o}"
        assert (MODEL / name).stat().st_size < GGUF_LIMIT, name


def test_model_card_names_the_checksum_and_the_size() -> None:
    """The card describes this model and not an earlier one."""
    card = (MODEL / "README.md").read_text(encoding="utf-8")
    manifest = load("manifest.json")
    assert manifest["files"]["demo.gguf"]["sha256"] in card
    assert f"{manifest['parameters']:,}" in card


def test_safetensors_and_gguf_hold_the_same_model(reader: GGUFReader) -> None:
    """Both forms come from the same training run."""
    data = (MODEL / "model.safetensors").read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__")
    assert {entry["dtype"] for entry in header.values()} == {"F16"}
    start, end = header["model.embed_tokens.weight"]["data_offsets"]
    embedding = next(t for t in reader.tensors if t.name == "token_embd.weight")
    if embedding.tensor_type.name == "F16":
        assert embedding.data.tobytes() == data[8 + length + start : 8 + length + end]
    parameters = sum(shape_size(entry["shape"]) for entry in header.values())
    assert parameters == load("manifest.json")["parameters"] == sum(t.n_elements for t in reader.tensors)


def shape_size(shape: list[int]) -> int:
    """Number of elements of a tensor."""
    size = 1
    for side in shape:
        size *= side
    return int(size)


def test_gguf_names_its_weights(reader: GGUFReader) -> None:
    """The model is in no repository: what stands for a commit is how the checksum of its weights begins."""
    provenance = json.loads((TRAINING / "conversion.json").read_text(encoding="utf-8"))["provenance"]
    assert provenance["commit"] == load("manifest.json")["files"]["model.safetensors"]["sha256"][:40]
    for name, value in provenance.items():
        assert field(reader, f"private_ai.source.{name}") == value


def test_gguf_agrees_with_the_configuration(reader: GGUFReader) -> None:
    """Architecture, sizes, end of sequence and template are those of the Hugging Face form."""
    config = load("config.json")
    assert field(reader, "general.architecture") == config["model_type"] == "qwen2"
    assert field(reader, "qwen2.embedding_length") == config["hidden_size"]
    assert field(reader, "qwen2.block_count") == config["num_hidden_layers"]
    assert field(reader, "qwen2.context_length") == config["max_position_embeddings"] == 2048
    assert field(reader, "tokenizer.ggml.eos_token_id") == config["eos_token_id"]
    assert field(reader, "tokenizer.chat_template") == load("tokenizer_config.json")["chat_template"]
    generation = load("generation_config.json")
    assert (generation["temperature"], generation["top_p"]) == (0.6, 0.95)


def test_special_tokens_have_the_kind_that_llama_cpp_needs(reader: GGUFReader) -> None:
    """Turn marks are control tokens, never shown; the thinking marks are shown and still one token each."""
    tokens, kinds = field(reader, "tokenizer.ggml.tokens"), field(reader, "tokenizer.ggml.token_type")
    config = load("tokenizer_config.json")
    expected = {
        USER: TokenType.CONTROL,
        ASSISTANT: TokenType.CONTROL,
        config["bos_token"]: TokenType.CONTROL,
        config["eos_token"]: TokenType.CONTROL,
        THINK: TokenType.USER_DEFINED,
        END_THINK: TokenType.USER_DEFINED,
    }
    assert {mark: TokenType(kinds[tokens.index(mark)]) for mark in expected} == expected
    decoder = {entry["content"] for entry in config["added_tokens_decoder"].values()}
    assert set(expected) <= decoder


def test_chat_template_is_that_of_an_r1_distill() -> None:
    """A question ends with the assistant's mark; the system prompt stands before the first turn."""
    messages = [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}]
    bos = load("tokenizer_config.json")["bos_token"]
    assert render(messages, True) == f"{bos}S{USER}Q{ASSISTANT}"


def test_chat_template_cuts_the_thinking_of_earlier_answers_only() -> None:
    """`ilab model train` renders finished conversations: it crashes when the last one loses its thinking."""
    config = load("tokenizer_config.json")
    bos, eos = config["bos_token"], config["eos_token"]
    reply = f"{THINK}\nhm\n{END_THINK}\n\nA"
    earlier = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": reply}]
    assert render([*earlier, {"role": "user", "content": "R"}], True) == (
        f"{bos}{USER}Q{ASSISTANT}A{eos}{USER}R{ASSISTANT}"
    )
    assert render(earlier, False) == f"{bos}{USER}Q{ASSISTANT}{reply}{eos}"


def test_every_topic_is_complete_in_both_languages(text: Any) -> None:
    """At least 45 topics, four wordings each, and an answer that passes its own keywords."""
    items = [i for i in text["corpus"].load_items() if i.topic != text["corpus"].OFF_TOPIC]
    keys = [(i.topic, i.language) for i in items]
    assert len(keys) == len(set(keys)) >= 2 * 45
    for item in items:
        assert len({text["corpus"].normalise(q) for q in item.questions}) >= 4, item.topic
    for item in text["corpus"].load_items():
        assert item.think and item.keywords
        for answer in item.answers:
            assert text["corpus"].matches(answer, item.keywords), (item.topic, item.language)


def test_no_question_belongs_to_two_topics(text: Any) -> None:
    """The same wording with two answers cannot be learned."""
    owner: dict[str, str] = {}
    for item in text["corpus"].load_items():
        for question in map(text["corpus"].normalise, item.questions):
            assert owner.setdefault(question, item.topic) == item.topic, question


def test_held_out_questions_are_never_trained(text: Any) -> None:
    """The measured score means something: no held-out wording can be trained or is used twice."""
    trained = text["corpus"].trained_wordings()
    seen: set[str] = set()
    for kind in ("development", "development-off-topic", "held-out", "held-out-off-topic"):
        asked = [text["corpus"].normalise(q.text) for q in text["evaluate"].questions(kind)]
        assert not trained.intersection(asked), trained.intersection(asked)
        assert len(asked) == len(set(asked)) and not seen.intersection(asked), kind
        seen.update(asked)
        assert len(asked) >= (30 if "off-topic" in kind else 40), kind


def test_judge_wants_thinking_first_and_the_right_answer(text: Any) -> None:
    """The evaluator counts neither an answer without thinking nor that of another topic."""
    by_topic = {i.topic: i for i in text["corpus"].load_items() if i.language == "en"}
    item, other = by_topic["skupper"], by_topic["stop"]
    judge = text["evaluate"].judge
    good = f"<think>\n{item.think}\n</think>\n\n{item.answers[0]}"
    assert judge(good, item) == (True, True)
    assert judge(good.removeprefix("<think>"), item) == (True, True), "the template may have opened the block"
    assert judge(item.answers[0], item) == (False, False)
    assert judge(good, other) == (False, False)
