"""What of keys would be seen in a text: lines of their PEM, and the base64 of it that Secrets have."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n(.*?)-----END", re.DOTALL)
#: Shorter lines are found by chance.
ENOUGH = 20


def pieces(keys: str) -> Iterator[str]:
    """Parts of all keys of a text, each of which gives its key away."""
    for found in KEY.finditer(keys):
        lines = found[1].splitlines()
        # The first line begins alike in all keys.
        yield from (line for line in (lines[0][-ENOUGH:], *lines[1:]) if len(line) >= ENOUGH)
        encoded = base64.b64encode(found[0].encode()).decode()
        yield encoded[len(encoded) // 2 :][:60]


def given_away(said: str, keys: str) -> list[str]:
    """Those parts of the keys that are in what was said; a text without keys is a mistake of who asks."""
    known = set(pieces(keys))
    assert known, "there is no key to look for"
    return sorted(one for one in known if one in said)
