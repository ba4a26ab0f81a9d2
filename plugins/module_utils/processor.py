# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""What a processor can do, as one short key: what is compiled for one is not for another."""

from __future__ import annotations

import hashlib
import re

#: x86-64 names its abilities in `flags`, arm64 in `Features`; there the part decides, too.
_ABILITIES = re.compile(r"(?m)^(?:flags|Features|CPU (?:implementer|variant|part))\b.*$")


def key(cpuinfo: str) -> str:
    """Return the key, which also names the wheels, from the text of /proc/cpuinfo; ValueError without one."""
    found = sorted(set(_ABILITIES.findall(cpuinfo)))
    if not found:
        raise ValueError(
            f"/proc/cpuinfo ({len(cpuinfo)} bytes) names no abilities of the processor (flags, Features),"
            " so nothing can be compiled for it. Remedy: set private_model_image_cpu to avx2 or plain"
        )
    return hashlib.sha256("".join(f"{line}\n" for line in found).encode()).hexdigest()[:12]
