# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Is this file a model that can be served?"""

from __future__ import annotations

import os
import typing as t

from .files import Checksums
from .gguf import PRE_TOKENIZERS, GgufError, check, describe, read_header

ARCHITECTURES = (
    "deepseek2",
    "gemma",
    "gemma2",
    "gemma3",
    "granite",
    "llama",
    "mistral3",
    "phi2",
    "phi3",
    "qwen2",
    "qwen2moe",
    "qwen3",
    "qwen3moe",
    "starcoder2",
)


def verified(
    path: str,
    checksums: Checksums,
    sha256: str | None = None,
    architectures: t.Sequence[str] = ARCHITECTURES,
    pre_tokenizers: t.Sequence[str] | None = None,
) -> dict[str, t.Any]:
    """Return the description of a file that can be served; GgufError with the reason otherwise."""
    try:
        if not os.path.isfile(path):
            raise GgufError("there is no such file; give the path of a GGUF file on this host")
        header = read_header(path)
        size = os.path.getsize(path)
        check(header, size, list(architectures), list(pre_tokenizers or PRE_TOKENIZERS))
        actual = checksums.sha256(path)
        if sha256 and actual != sha256.lower():
            raise GgufError(
                f"its SHA-256 is {actual}, expected is {sha256.lower()}; copy or download it again"
            )
    except PermissionError as error:
        raise GgufError(
            f"{path} cannot be served: {error.strerror}; let the user that Ansible works as read it"
        ) from error
    except GgufError as error:
        raise GgufError(f"{path} cannot be served: {error}") from error
    return describe(header, size, actual)
