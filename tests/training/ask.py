#!/usr/bin/env python3
"""Asks a model in Hugging Face form the held-out questions, inside the trainer's image; prints one JSON line.

    python ask.py MODEL_DIRECTORY HELD_OUT_JSON [--show]

Share of right answers and mean similarity to the expected ones, by language; always the most likely words.
"""

from __future__ import annotations

import difflib
import json
import sys
from collections import defaultdict
from pathlib import Path

import torch
from dataset import is_right, normalise
from transformers import AutoModelForCausalLM, AutoTokenizer


def main() -> None:
    """Command line."""
    folder, questions = sys.argv[1:3]
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32).eval()
    right: dict[str, list[bool]] = defaultdict(list)
    similar: dict[str, list[float]] = defaultdict(list)
    held_out = json.loads(Path(questions).read_text(encoding="utf-8"))
    tokenizer.padding_side = "left"
    prompts = tokenizer.apply_chat_template(
        [[{"role": "user", "content": asked["question"]}] for asked in held_out],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
        padding=True,
    )
    with torch.no_grad():
        said = model.generate(
            input_ids=prompts["input_ids"],
            attention_mask=prompts["attention_mask"],
            max_new_tokens=120,
            do_sample=False,
            temperature=None,
            top_p=None,
            pad_token_id=tokenizer.pad_token_id,
        )
    replies = tokenizer.batch_decode(said[:, prompts["input_ids"].shape[1] :], skip_special_tokens=True)
    for asked, reply in zip(held_out, replies, strict=True):
        language = asked["language"]
        answer = normalise(reply.rpartition("</think>")[2])
        right[language].append(is_right(reply, asked["keywords"]))
        similar[language].append(difflib.SequenceMatcher(None, answer, normalise(asked["expect"])).ratio())
        if "--show" in sys.argv:
            print(("+ " if right[language][-1] else "- ") + asked["question"], "->", repr(reply), flush=True)
    scores = {
        language: {
            "asked": len(right[language]),
            "right": sum(right[language]) / len(right[language]),
            "similarity": round(sum(similar[language]) / len(similar[language]), 3),
        }
        for language in sorted(right)
    }
    print(json.dumps(scores))


if __name__ == "__main__":
    main()
