"""From a checkpoint of ilab to a model in Hugging Face form: safetensors, and the base's own tokenizer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from common import Unfit
from safetensors import safe_open
from safetensors.torch import save_file

#: Of the base, beside the weights: what other programs need to load it, and its licence.
BESIDE = ("*.json", "*.jinja", "*.model", "*.txt", "LICENSE*", "NOTICE*")
NOT_BESIDE = ("*.safetensors.index.json", "pytorch_model.bin.index.json", "manifest.json", "training.json")
HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"


def shapes(base: Path) -> dict[str, tuple[int, ...]]:
    """The tensors of the base by name."""
    found: dict[str, tuple[int, ...]] = {}
    for file in sorted(base.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - it is no dict
                found[name] = tuple(tensors.get_slice(name).get_shape())
    return found


def base_dtype(base: Path) -> torch.dtype:
    """The type of the base's weights."""
    for file in sorted(base.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118
                return tensors.get_tensor(name).dtype  # type: ignore[no-any-return]
    raise Unfit("the base holds no *.safetensors")


def read(folder: Path) -> dict[str, torch.Tensor]:
    """The weights of a checkpoint; a pickle is read without running anything that it may hold."""
    weights = folder / "pytorch_model.bin"
    if weights.is_file():
        return dict(torch.load(weights, map_location="cpu", weights_only=True, mmap=True))
    found: dict[str, torch.Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            found |= {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118
    return found


def write(checkpoint: Path, base: Path, out: Path, dtype: str) -> dict[str, Any]:
    """Fill the empty directory `out`; return what is worth telling of the weights."""
    state = read(checkpoint)
    wanted = shapes(base)
    if HEAD in state and HEAD not in wanted and EMBEDDING in state:
        # ilab loads models in a mode that separates an output layer from the embedding that it shares with
        # the base.
        if torch.equal(state[HEAD], state[EMBEDDING]):
            del state[HEAD]
        else:
            wanted[HEAD] = wanted[EMBEDDING]
    wrong = [
        name
        for name in sorted({*state, *wanted})
        if name not in state or tuple(state[name].shape) != wanted.get(name)
    ]
    if wrong:
        raise Unfit(f"the trained weights are not those of the base: {', '.join(wrong[:5])}", status=1)
    bad = [name for name, tensor in state.items() if not bool(torch.isfinite(tensor).all())]
    if bad:
        raise Unfit(
            f"the training diverged: {len(bad)} tensors hold values that are no numbers ({bad[0]}); "
            "look at the training data",
            status=1,
        )
    target = torch.float32 if dtype == "float32" else base_dtype(base)
    save_file(
        {name: tensor.to(target).contiguous() for name, tensor in sorted(state.items())},
        out / "model.safetensors",
        metadata={"format": "pt"},
    )
    for pattern in BESIDE:
        for file in base.glob(pattern):
            if (
                file.is_file()
                and not any(file.match(one) for one in NOT_BESIDE)
                and not file.name.startswith(".")
            ):
                shutil.copyfile(file, out / file.name)
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    config["torch_dtype"] = str(target).removeprefix("torch.")
    if HEAD in wanted:
        config["tie_word_embeddings"] = False
    (out / "config.json").write_text(
        json.dumps(config, ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
    )
    for file in out.iterdir():
        file.chmod(0o644)
    return {"dtype": config["torch_dtype"], "parameters": sum(tensor.numel() for tensor in state.values())}
