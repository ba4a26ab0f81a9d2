# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another processor has another key, and none has that of nothing."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from ansible_collections.private_ai.chatbot.plugins.filter.processor_key import FilterModule

NOTHING = hashlib.sha256(b"").hexdigest()[:12]
X86 = "processor\t: 0\nflags\t\t: fpu sse2 avx2\ncpu MHz\t\t: 2000.1\n\nflags\t\t: fpu sse2 avx2\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n"

processor_key = FilterModule().filters()["processor_key"]


def test_another_processor_has_another_key() -> None:
    keys = [
        processor_key(text) for text in (X86, X86.replace("avx2", "avx512f"), ARM, ARM.replace("0c", "40"))
    ]
    assert len({*keys, NOTHING}) == 5 and {len(key) for key in keys} == {12}
    assert processor_key(X86.replace("2000.1", "800.0")) == keys[0], "how fast it runs now does not count"


def test_it_is_the_key_of_the_wheels() -> None:
    """As build-wheel.sh and build-converter.sh find it."""
    command = "grep -E '^(flags|Features|CPU (implementer|variant|part))' /proc/cpuinfo | sort -u | sha256sum"
    said = subprocess.run(
        ["sh", "-c", f"LC_ALL=C; export LC_ALL; {command}"], capture_output=True, text=True, check=True
    ).stdout
    assert processor_key(Path("/proc/cpuinfo").read_text(encoding="utf-8")) == said[:12]


@pytest.mark.parametrize(
    "text", ["", "processor\t: 0\nmodel name\t: unknown\n"], ids=["nothing", "no abilities"]
)
def test_a_processor_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(Exception, match=r"names no abilities .* Remedy: set private_model_image_cpu"):
        processor_key(text)
