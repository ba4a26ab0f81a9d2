"""Stand-in for DeepSeek-R1-Distill-Qwen-1.5B in Hugging Face's form: layout and tokenizer, random weights.

It proves that such a directory is recognised, converted, quantised and loaded, not that an answer makes
sense. Made from llama-cpp-python's source distribution, which carries the vocabulary of Qwen2 and the chat
template of the R1 distills; what R1 changed (special tokens, a beginning of text before every text) is
written here. llama.cpp recognises the result as `deepseek-r1-qwen` by the tokens of a text, so that a
mistake here would not pass. Weights are in shards with an index, as large models have them, and fewer and
smaller than the real ones'. The output layer favours printable tokens: random bytes would be broken UTF-8,
which llama-cpp-python holds back from a stream.

    python random_hf_model.py SDIST.tar.gz OUT_DIRECTORY [--hidden 256] [--layers 2]

Needs the `gguf` and `numpy` packages.
"""

from __future__ import annotations

import argparse
import json
import struct
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import gguf
import numpy as np

VOCABULARY = "vendor/llama.cpp/models/ggml-vocab-qwen2.gguf"
TEMPLATE = "vendor/llama.cpp/models/templates/deepseek-ai-DeepSeek-R1-Distill-Qwen-32B.jinja"
BOS, EOS = "<\uff5cbegin\u2581of\u2581sentence\uff5c>", "<\uff5cend\u2581of\u2581sentence\uff5c>"
#: Tokens that R1 has in the place of Qwen2's, and whether they are special.
FIRST = 151643
OWN = (
    (EOS, True),
    ("<\uff5cUser\uff5c>", False),
    ("<\uff5cAssistant\uff5c>", False),
    (BOS, True),
    ("<|EOT|>", False),
    ("<think>", False),
    ("</think>", False),
)
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
LETTERS = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
VOCABULARY_SIZE = 151936
SHARDS = 2


def carried(sdist: Path) -> tuple[list[str], list[str], str]:
    """Words, merges and chat template that the source distribution carries."""
    found: dict[str, bytes] = {}
    # As a stream: every step back in a compressed archive would read it from its beginning.
    with tarfile.open(sdist, "r|gz") as archive:
        for member in archive:
            name = member.name.partition("/")[2]
            content = archive.extractfile(member) if name in (VOCABULARY, TEMPLATE) else None
            if content:
                found[name] = content.read()
    with tempfile.NamedTemporaryFile() as file:
        file.write(found[VOCABULARY])
        file.flush()
        reader = gguf.GGUFReader(file.name)
        words, merges = (
            reader.get_field(f"tokenizer.ggml.{name}").contents()  # type: ignore[union-attr]
            for name in ("tokens", "merges")
        )
    return list(words), list(merges), found[TEMPLATE].decode()


def added_token(content: str, special: bool) -> dict[str, Any]:
    """One entry of a list of added tokens."""
    plain = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    return {"content": content, "special": special, **plain}


def tokenizer(words: list[str], merges: list[str], template: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What tokenizer.json and tokenizer_config.json hold."""
    added = [{"id": FIRST + number, **added_token(*one)} for number, one in enumerate(OWN)]
    begin = {"SpecialToken": {"id": BOS, "type_id": 0}}
    whole = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": False},
                LETTERS,
            ],
        },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [begin, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [begin, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {BOS: {"id": BOS, "ids": [FIRST + 3], "tokens": [BOS]}},
        },
        "decoder": LETTERS,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {word: number for number, word in enumerate(words[:FIRST])},
            "merges": merges,
        },
    }
    config = {
        "tokenizer_class": "LlamaTokenizerFast",
        "add_bos_token": True,
        "add_eos_token": False,
        "bos_token": {"__type": "AddedToken", **added_token(BOS, True)},
        "eos_token": {"__type": "AddedToken", **added_token(EOS, True)},
        "pad_token": {"__type": "AddedToken", **added_token(EOS, True)},
        "unk_token": None,
        "legacy": True,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 16384,
        "chat_template": template,
    }
    return whole, config


def configuration(hidden: int, layers: int) -> dict[str, Any]:
    """config.json: the real one's but for the sizes."""
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "attention_dropout": 0.0,
        "bos_token_id": FIRST,
        "eos_token_id": FIRST,
        "hidden_act": "silu",
        "hidden_size": hidden,
        "initializer_range": 0.02,
        "intermediate_size": 2 * hidden,
        "max_position_embeddings": 131072,
        "max_window_layers": 21,
        "model_type": "qwen2",
        "num_attention_heads": 4,
        "num_hidden_layers": layers,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06,
        "rope_theta": 10000,
        "sliding_window": 4096,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.44.0",
        "use_cache": True,
        "use_mrope": False,
        "use_sliding_window": False,
        "vocab_size": VOCABULARY_SIZE,
    }


def bfloat16(values: np.ndarray) -> np.ndarray:
    """The upper half of each 32-bit number."""
    return (values.astype("<f4").view("<u4") >> 16).astype("<u2")


def tensors(words: list[str], size: int, hidden: int, layers: int, seed: int = 1) -> dict[str, np.ndarray]:
    """Random weights of a Qwen2 with a vocabulary of `size`, of which the first are `words`."""
    draw = np.random.default_rng(seed)

    def weights(*shape: int) -> np.ndarray:
        return bfloat16(draw.standard_normal(shape, dtype=np.float32) / np.sqrt(shape[-1], dtype=np.float32))

    def constant(value: float, length: int) -> np.ndarray:
        return bfloat16(np.full(length, value, dtype=np.float32))

    # The first dimension of every embedding is large and so survives to the last layer, where its sign in the
    # output row raises printable words and lowers all others.
    printable = np.array([word.isascii() and word.isprintable() for word in words])
    embedding, output = weights(size, hidden), weights(size, hidden)
    embedding[:, 0] = constant(8.0, size)
    output[:, 0] = constant(-4.0, size)
    output[: len(words), 0] = bfloat16(np.where(printable, 4.0, -4.0))
    found = {"model.embed_tokens.weight": embedding, "lm_head.weight": output}
    found["model.norm.weight"] = constant(1.0, hidden)
    for number in range(layers):
        block = f"model.layers.{number}."
        for name, rows in (("q", hidden), ("k", hidden // 2), ("v", hidden // 2)):
            found[f"{block}self_attn.{name}_proj.weight"] = weights(rows, hidden)
            found[f"{block}self_attn.{name}_proj.bias"] = constant(0.0, rows)
        found[f"{block}self_attn.o_proj.weight"] = weights(hidden, hidden)
        found[f"{block}mlp.gate_proj.weight"] = weights(2 * hidden, hidden)
        found[f"{block}mlp.up_proj.weight"] = weights(2 * hidden, hidden)
        found[f"{block}mlp.down_proj.weight"] = weights(hidden, 2 * hidden)
        found[f"{block}input_layernorm.weight"] = constant(1.0, hidden)
        found[f"{block}post_attention_layernorm.weight"] = constant(1.0, hidden)
    return found


def write_safetensors(path: Path, content: dict[str, np.ndarray]) -> None:
    """One file of weights; the format is a length, a head in JSON and the bytes."""
    head: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, values in content.items():
        head[name] = {"dtype": "BF16", "shape": values.shape, "data_offsets": [end, end + values.nbytes]}
        end += values.nbytes
    text = json.dumps(head).encode()
    with path.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        for values in content.values():
            stream.write(values.tobytes())


def write(sdist: Path, out: Path, hidden: int = 256, layers: int = 2) -> None:
    """Make the directory."""
    words, merges, template = carried(sdist)
    whole, config = tokenizer(words, merges, template)
    out.mkdir(parents=True)
    sampling = {"_from_model_config": True, "bos_token_id": 151646, "eos_token_id": FIRST, "do_sample": True}
    documents = {
        "config.json": configuration(hidden, layers),
        "generation_config.json": {**sampling, "temperature": 0.6, "top_p": 0.95},
        "tokenizer.json": whole,
        "tokenizer_config.json": config,
    }
    for name, content in documents.items():
        (out / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    found = tensors(words[:FIRST], VOCABULARY_SIZE, hidden, layers)
    names = list(found)
    weight_map: dict[str, str] = {}
    for number in range(SHARDS):
        shard = f"model-{number + 1:05}-of-{SHARDS:05}.safetensors"
        part = {name: found[name] for name in names[number::SHARDS]}
        write_safetensors(out / shard, part)
        weight_map |= dict.fromkeys(part, shard)
    size = sum(values.nbytes for values in found.values())
    index = {"metadata": {"total_size": size}, "weight_map": weight_map}
    (out / "model.safetensors.index.json").write_text(json.dumps(index))
    for path in out.iterdir():
        path.chmod(0o644)  # a container's user reads it


def main() -> None:
    """Parse the command line and write the directory."""
    parser = argparse.ArgumentParser(description="A model of random weights in the form of Hugging Face.")
    parser.add_argument("sdist", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=2)
    args = parser.parse_args()
    write(args.sdist, args.out, args.hidden, args.layers)


if __name__ == "__main__":
    main()
