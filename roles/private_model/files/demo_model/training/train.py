#!/usr/bin/env python3
"""Trains the demo model from scratch on the text in this folder and writes it in Hugging Face form.

Needs torch, transformers, sentencepiece and safetensors (README.md says which were used).
The same seed, versions and number of threads give the same weights.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import math
import os
import platform
import time
from pathlib import Path

import safetensors
import sentencepiece as spm
import torch
import transformers
from corpus import LANGUAGES, Sampler, expand, load_items, read_json
from safetensors.torch import save_file
from transformers import Qwen2Config, Qwen2ForCausalLM

BOS, EOS, USER, ASSISTANT = (
    "<｜begin▁of▁sentence｜>",
    "<｜end▁of▁sentence｜>",
    "<｜User｜>",
    "<｜Assistant｜>",
)
THINK, END_THINK = "<think>", "</think>"
SEED = 20261120
# 0.2.3 draws other pieces in every process, whatever the seed: no training can be repeated with it.
SENTENCEPIECE = "0.2.0"
CONTEXT = 2048

# As DeepSeek-R1's: earlier answers lose their thinking. The last message keeps it, or `ilab model train`,
# which renders whole conversations with this template, could not find the answer again.
CHAT_TEMPLATE = (
    "{{- bos_token -}}"
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'system' -%}{{- message['content'] -}}"
    "{%- elif message['role'] == 'user' -%}{{- '" + USER + "' + message['content'] -}}"
    "{%- elif message['role'] == 'assistant' -%}"
    "{%- set content = message['content'] or '' -%}"
    "{%- if '</think>' in content and not loop.last -%}"
    "{%- set content = content.split('</think>')[-1] | trim -%}"
    "{%- endif -%}"
    "{{- '" + ASSISTANT + "' + content + '" + EOS + "' -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '" + ASSISTANT + "' -}}{%- endif -%}"
)


def train_tokenizer(vocabulary: int) -> bytes:
    """A SentencePiece BPE model with byte fallback, made from the same text."""
    lines: list[str] = []
    frames = read_json("topics.json")["frames"]
    for item in load_items():
        for _ in range(4):
            lines += [item.think, *item.answers, item.think.lower()]
        lines += item.questions
        lines += [q.lower() for q in item.questions]
        lines += expand(frames[item.language], item.subjects)
    for part in read_json("off_topic.json").values():
        for group in part["groups"]:
            lines += group["frames"] + group["fillers"]
    buffer = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter([piece for line in lines for piece in line.split("\n") if piece]),
        model_writer=buffer,
        model_type="bpe",
        vocab_size=vocabulary,
        byte_fallback=True,
        character_coverage=1.0,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        split_digits=True,
        max_sentence_length=100000,
        num_threads=1,
        minloglevel=2,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        unk_piece="<unk>",
        bos_piece=BOS,
        eos_piece=EOS,
        user_defined_symbols=[USER, ASSISTANT, THINK, END_THINK],
    )
    return buffer.getvalue()


class Encoder:
    """Conversations to token ids, exactly as llama.cpp and the Hugging Face tokenizer make them.

    Both put a space after every special token, which SentencePiece's dummy prefix does here.
    """

    def __init__(self, model: bytes) -> None:
        self.sp = spm.SentencePieceProcessor(model_proto=model)
        self.bos, self.eos, self.user, self.assistant, self.think, self.end_think = (
            self.sp.piece_to_id(p) for p in (BOS, EOS, USER, ASSISTANT, THINK, END_THINK)
        )

    def text(self, text: str, sample: bool = False) -> list[int]:
        """Ids of a stretch of text; sampled means split into smaller pieces at random."""
        if sample:
            return list(self.sp.encode(text, enable_sampling=True, alpha=0.1, nbest_size=-1))
        return list(self.sp.encode(text))

    def example(self, sampler: Sampler, whole: bool) -> tuple[list[int], int]:
        """(ids, how many are the prompt) of one drawn conversation; not whole: cut after the thinking."""
        system, turns = sampler.conversation()
        ids = [self.bos]
        if system:
            ids += self.text(system)
        for turn in turns[:-1]:
            ids += [self.user, *self.text(turn.question), self.assistant, *self.text(turn.answer), self.eos]
        last = turns[-1]
        ids += [self.user, *self.text(last.question, sampler.rng.random() < 0.5), self.assistant]
        prompt = len(ids)
        ids += [self.think, *self.text(f"\n{last.think}\n"), self.end_think]
        if whole:
            ids += [*self.text(f"\n\n{last.answer}"), self.eos]
        return ids, prompt


def batches(encoder: Encoder, sampler: Sampler, size: int, steps: int) -> list[list[tuple[list[int], int]]]:
    """Batches of examples of similar length (less padding), in shuffled order.

    The hard part is to tell from the question what to think; the answers follow and are soon known by heart.
    So two batches of three end after the thinking, and hold three times as many questions for the same time.
    """
    done: list[list[tuple[list[int], int]]] = []
    while len(done) < steps:
        chunk = []
        for whole, count, groups in ((True, size, 16), (False, 3 * size, 32)):
            pool = sorted(
                (encoder.example(sampler, whole) for _ in range(count * groups)), key=lambda e: len(e[0])
            )
            chunk += [pool[i : i + count] for i in range(0, len(pool), count)]
        sampler.rng.shuffle(chunk)
        done += chunk
    return done[:steps]


def write_model(
    model: Qwen2ForCausalLM, config: Qwen2Config, tokenizer: bytes, encoder: Encoder, out: Path
) -> None:
    """Writes the Hugging Face files; the weights in half precision, readable by everybody."""
    out.mkdir(parents=True, exist_ok=True)

    def dump(name: str, data: object) -> None:
        (out / name).write_text(json.dumps(data, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")

    described = config.to_diff_dict() | {"architectures": ["Qwen2ForCausalLM"], "torch_dtype": "float16"}
    dump("config.json", dict(sorted(described.items())))
    dump(
        "generation_config.json",
        {
            "bos_token_id": encoder.bos,
            "eos_token_id": encoder.eos,
            "pad_token_id": encoder.eos,
            "do_sample": True,
            "temperature": 0.6,
            "top_p": 0.95,
        },
    )

    def added(token: str, special: bool) -> dict[str, object]:
        return {
            "content": token,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": special,
        }

    # Without added_tokens_decoder the converter takes these for ordinary text and the model babbles.
    # The thinking marks are not "special": they must appear in the reply.
    decoder = {
        encoder.bos: added(BOS, True),
        encoder.eos: added(EOS, True),
        encoder.user: added(USER, True),
        encoder.assistant: added(ASSISTANT, True),
        encoder.think: added(THINK, False),
        encoder.end_think: added(END_THINK, False),
        0: added("<unk>", True),
    }
    dump(
        "tokenizer_config.json",
        {
            "tokenizer_class": "LlamaTokenizer",
            "legacy": True,
            "add_bos_token": True,
            "add_eos_token": False,
            "clean_up_tokenization_spaces": False,
            "model_max_length": CONTEXT,
            "bos_token": BOS,
            "eos_token": EOS,
            "pad_token": EOS,
            "unk_token": "<unk>",
            "added_tokens_decoder": {str(i): decoder[i] for i in sorted(decoder)},
            "chat_template": CHAT_TEMPLATE,
        },
    )
    dump(
        "special_tokens_map.json",
        {"bos_token": BOS, "eos_token": EOS, "pad_token": EOS, "unk_token": "<unk>"},
    )
    (out / "tokenizer.model").write_bytes(tokenizer)
    weights = {
        name: tensor.detach().to(torch.float16).contiguous()
        for name, tensor in model.state_dict().items()
        if name != "lm_head.weight"
    }
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    for file in out.iterdir():
        os.chmod(file, 0o644)  # safetensors writes 0600, which a container's user cannot read


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write the model to")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--threads", type=int, default=1, help="part of what makes the bits the same")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--feed-forward", type=int, default=384)
    parser.add_argument("--vocabulary", type=int, default=1200)
    parser.add_argument("--off-topic", type=float, default=0.4, help="share of off-topic questions")
    args = parser.parse_args()
    if spm.__version__ != SENTENCEPIECE:
        parser.error(
            f"sentencepiece is {spm.__version__}; use {SENTENCEPIECE} (Debian 13's), which follows the seed"
        )

    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)
    spm.set_random_generator_seed(args.seed)
    tokenizer = train_tokenizer(args.vocabulary)
    encoder = Encoder(tokenizer)
    config = Qwen2Config(
        vocab_size=encoder.sp.get_piece_size(),
        hidden_size=args.hidden,
        intermediate_size=args.feed_forward,
        num_hidden_layers=args.layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        rope_theta=10000.0,
        rms_norm_eps=1e-6,
        tie_word_embeddings=True,
        use_sliding_window=False,
        bos_token_id=encoder.bos,
        eos_token_id=encoder.eos,
        initializer_range=0.02,
    )
    model = Qwen2ForCausalLM(config)
    parameters = sum(p.numel() for p in model.parameters())
    print(
        f"{parameters} parameters, vocabulary {config.vocab_size}, languages {', '.join(LANGUAGES)}",
        flush=True,
    )
    matrices = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
        lr=args.rate,
        betas=(0.9, 0.98),
    )
    warmup = max(1, args.steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min(
            (step + 1) / warmup, 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / args.steps))
        ),
    )
    started = time.monotonic()
    model.train()
    total = 0.0
    for step, batch in enumerate(
        batches(encoder, Sampler(args.seed, args.off_topic), args.batch, args.steps), 1
    ):
        width = max(len(ids) for ids, _ in batch)
        tokens = torch.full((len(batch), width), encoder.eos)
        labels = torch.full((len(batch), width), -100)
        for row, (ids, prompt) in enumerate(batch):
            tokens[row, : len(ids)] = torch.tensor(ids)
            labels[row, prompt : len(ids)] = torch.tensor(ids[prompt:])
        # Padding is on the right of a causal model: no mask needed, the padded places carry no label.
        wanted = labels[:, 1:] != -100
        hidden = model.model(input_ids=tokens).last_hidden_state[:, :-1][wanted]
        loss = torch.nn.functional.cross_entropy(model.lm_head(hidden), labels[:, 1:][wanted])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        total += loss.item()
        if step % 100 == 0 or step == args.steps:
            count = 100 if step % 100 == 0 else step % 100
            print(
                f"step {step}/{args.steps} loss {total / count:.4f} {time.monotonic() - started:.0f} s",
                flush=True,
            )
            total = 0.0
    model.eval()
    write_model(model, config, tokenizer, encoder, args.out)
    digest = hashlib.sha256((args.out / "model.safetensors").read_bytes()).hexdigest()
    print(f"model.safetensors sha256 {digest}")
    recipe = {name: value for name, value in vars(args).items() if name != "out"}
    versions = {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "sentencepiece": spm.__version__,
        "transformers": transformers.__version__,
        "safetensors": safetensors.__version__,
    }
    manifest = {"parameters": parameters, "training": {"recipe": recipe, "versions": versions}}
    (args.out / "manifest.json").write_text(
        json.dumps(manifest, indent=2, sort_keys=True) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
