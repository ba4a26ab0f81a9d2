"""Convert and quantise a model of random weights with the finished image; keep byte code of what that takes.

Fails when anything is missing or the library does not fit this processor. It writes to the image and so runs
while that is built.
"""

from __future__ import annotations

import json
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

MAKE_GGUF = "/usr/local/bin/make-gguf"
SOURCE, WORK = Path("/build/tiny"), Path("/work")
CONFIG = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_size": 256,
    "intermediate_size": 256,
    "max_position_embeddings": 64,
    "num_attention_heads": 4,
    "num_hidden_layers": 1,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
    "vocab_size": 300,
}


def write_model() -> None:
    """A Qwen2 of one layer with a vocabulary of bytes."""
    import sentencepiece
    import torch
    from safetensors.torch import save_file
    from transformers import Qwen2Config, Qwen2ForCausalLM

    shutil.rmtree(SOURCE, ignore_errors=True)
    SOURCE.mkdir()
    (SOURCE / "config.json").write_text(json.dumps(CONFIG))
    words = [f"word {number}" for number in range(500)]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(words),
        model_prefix=str(SOURCE / "tokenizer"),
        vocab_size=300,
        model_type="bpe",
        byte_fallback=True,
        hard_vocab_limit=False,
    )
    torch.manual_seed(1)
    model = Qwen2ForCausalLM(Qwen2Config(**{key: CONFIG[key] for key in CONFIG if key != "architectures"}))
    weights = {name: value for name, value in model.state_dict().items() if name != "lm_head.weight"}
    save_file(weights, str(SOURCE / "model.safetensors"))


def compile_imported() -> int:
    """Write byte code for the modules that converting and quantising loaded: the root is read-only later."""
    compiled = 0
    for module in list(sys.modules.values()):
        source = getattr(module, "__file__", None) or ""
        if source.startswith("/opt/") and source.endswith(".py") and Path(source).is_file():
            py_compile.compile(
                source, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
            )
            compiled += 1
    return compiled


def main() -> None:
    """Leave with what failed."""
    sys.dont_write_bytecode = True
    write_model()
    WORK.mkdir(exist_ok=True)
    plan = {
        "directory": str(SOURCE),
        "name": "tiny",
        "outtype": "f16",
        "quantization": "Q4_K_M",
        "metadata": {},
        "threads": 1,
        "keep_intermediate": False,
    }
    subprocess.run([MAKE_GGUF, "make", json.dumps(plan)], check=True)
    sys.path.insert(1, "/opt/llama.cpp")
    import conversion.qwen
    import llama_cpp
    from transformers import AutoTokenizer

    print(f"{llama_cpp.__version__} {conversion.__name__} {AutoTokenizer.__name__}")
    print(f"byte code of {compile_imported()} modules")
    shutil.rmtree(SOURCE)
    (WORK / "model.gguf").unlink()


if __name__ == "__main__":
    main()
