"""Stand-in model: a GGUF of random weights with DeepSeek-R1's kind of vocabulary, made in a second.

It proves that a server loads and answers such a file (the pre-tokenizer `deepseek-r1-qwen` is what older
llama.cpp refuses with "unknown pre-tokenizer type"), not that an answer makes sense. The vocabulary and the
chat template are invented here; only the names of the special tokens are DeepSeek's. The output layer favours
printable tokens, because random bytes would be broken UTF-8, which llama-cpp-python holds back from a stream.

    python random_gguf.py OUT.gguf [--pre deepseek-r1-qwen] [--hidden 64] [--layers 2] ...

Needs the `gguf` and `numpy` packages (both are in the serving image).
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np

BOS = "<\uff5cbegin\u2581of\u2581sentence\uff5c>"
EOS = "<\uff5cend\u2581of\u2581sentence\uff5c>"
USER = "<\uff5cUser\uff5c>"
ASSISTANT = "<\uff5cAssistant\uff5c>"
SPECIAL = (EOS, BOS, USER, ASSISTANT)
# Ordinary text to the tokenizer's decoder, but one token each, as in the R1 distills.
MARKUP = ("<think>", "</think>")
WORDS = (
    "the model runs on a private machine and answers through the gateway it never leaves home "
    "question answer page stream token queue network virtual application what where how is are"
).split()

# Own words: opens <think> in the prompt, and leaves earlier thoughts out of the history.
CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for m in messages %}"
    "{% if m['role'] == 'system' %}{{ m['content'] }}"
    "{% elif m['role'] == 'user' %}" + USER + "{{ m['content'] }}"
    "{% else %}" + ASSISTANT + "{{ m['content'].split('</think>')[-1] }}" + EOS + "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}" + ASSISTANT + "<think>\n{% endif %}"
)


@dataclass(frozen=True)
class Shape:
    """Sizes of the network. `hidden` must be a multiple of `heads`, and `heads` of `kv_heads`."""

    hidden: int = 64
    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    feed_forward: int = 128
    context: int = 2048

    def check(self) -> None:
        """Raise ValueError naming the value that does not fit."""
        if min(self.hidden, self.layers, self.heads, self.kv_heads, self.feed_forward, self.context) < 1:
            raise ValueError(f"sizes must be at least 1: {self}")
        if self.hidden % self.heads or self.heads % self.kv_heads:
            raise ValueError(
                f"must divide: hidden {self.hidden} by heads {self.heads}, and that by {self.kv_heads}"
            )
        if (self.hidden // self.heads) % 2:
            raise ValueError(f"head size {self.hidden // self.heads} is odd; rotary positions need even")


def byte_letters() -> list[str]:
    """The 256 printable stand-ins of byte-level BPE, indexed by byte."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    shifted = iter(range(256, 512))
    return [chr(b) if b in keep else chr(next(shifted)) for b in range(256)]


def vocabulary() -> tuple[list[str], list[int], list[str], list[bool]]:
    """Tokens, their GGUF types, the merges, and which of them are printable text (all of equal order)."""
    letters = byte_letters()
    tokens = list(letters)
    printable = [32 <= b < 127 for b in range(256)]
    merges: list[str] = []
    for word in WORDS:
        for text in (word, letters[32] + word):  # at the start of a line, and after a space
            for end in range(2, len(text) + 1):
                if text[:end] not in tokens:
                    merges.append(f"{text[: end - 1]} {text[end - 1]}")
                    tokens.append(text[:end])
                    printable.append(True)
    types = [int(gguf.TokenType.NORMAL)] * len(tokens)
    for name in SPECIAL:
        tokens.append(name)
        types.append(int(gguf.TokenType.CONTROL))
    for name in MARKUP:
        tokens.append(name)
        types.append(int(gguf.TokenType.USER_DEFINED))
    printable += [False] * (len(SPECIAL) + len(MARKUP))
    return tokens, types, merges, printable


def write(path: Path, shape: Shape, architecture: str, pre: str, seed: int, half: bool) -> None:
    """Write the model to `path` at once (temporary name, then rename). Errors: ValueError, OSError."""
    shape.check()
    tokens, types, merges, printable = vocabulary()
    partial = path.with_name(path.name + ".partial")
    writer = gguf.GGUFWriter(partial, architecture)
    writer.add_name("Random weights")
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(shape.hidden // shape.heads)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16 if half else gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(tokens.index(BOS))
    writer.add_eos_token_id(tokens.index(EOS))
    writer.add_pad_token_id(tokens.index(EOS))
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)

    draw = np.random.default_rng(seed)

    def weights(*size: int) -> np.ndarray:
        values = draw.standard_normal(size, dtype=np.float32) / np.sqrt(size[-1], dtype=np.float32)
        return values.astype(np.float16) if half else values

    def constant(value: float, size: int) -> np.ndarray:
        return np.full(size, value, dtype=np.float32)

    kv = shape.hidden // shape.heads * shape.kv_heads
    # Dimension 0 of every embedding is large and constant and so survives to the last layer, where its sign
    # in the output row raises printable tokens and lowers all others, the end of the text included.
    embedding = weights(len(tokens), shape.hidden)
    embedding[:, 0] = 8.0
    output = weights(len(tokens), shape.hidden)
    output[:, 0] = np.where(printable, 4.0, -4.0)
    writer.add_tensor("token_embd.weight", embedding)
    writer.add_tensor("output_norm.weight", constant(1.0, shape.hidden))
    writer.add_tensor("output.weight", output)
    for n in range(shape.layers):
        block = f"blk.{n}."
        writer.add_tensor(block + "attn_norm.weight", constant(1.0, shape.hidden))
        writer.add_tensor(block + "ffn_norm.weight", constant(1.0, shape.hidden))
        for name, size in (("q", shape.hidden), ("k", kv), ("v", kv)):
            writer.add_tensor(block + f"attn_{name}.weight", weights(size, shape.hidden))
            writer.add_tensor(block + f"attn_{name}.bias", constant(0.0, size))
        writer.add_tensor(block + "attn_output.weight", weights(shape.hidden, shape.hidden))
        writer.add_tensor(block + "ffn_gate.weight", weights(shape.feed_forward, shape.hidden))
        writer.add_tensor(block + "ffn_up.weight", weights(shape.feed_forward, shape.hidden))
        writer.add_tensor(block + "ffn_down.weight", weights(shape.hidden, shape.feed_forward))

    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.chmod(partial, 0o644)  # a container's user reads it
    os.replace(partial, path)


def main() -> None:
    """Parse the command line and write the file."""
    parser = argparse.ArgumentParser(description="Write a GGUF of random weights (a stand-in for tests).")
    parser.add_argument("out", type=Path)
    parser.add_argument("--architecture", default="qwen2", choices=["qwen2", "llama"])
    parser.add_argument("--pre", default="deepseek-r1-qwen", help="name of the pre-tokenizer")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--f32", action="store_true", help="32-bit weights instead of 16-bit")
    for name, default in vars(Shape()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    args = parser.parse_args()
    shape = Shape(**{name: getattr(args, name) for name in vars(Shape())})
    try:
        write(args.out, shape, args.architecture, args.pre, args.seed, half=not args.f32)
    except ValueError as error:
        parser.error(str(error))
    print(f"{args.out}: {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
