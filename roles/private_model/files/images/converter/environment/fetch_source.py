"""Fetch one file of a package from a simple index and keep it when its checksum is right.

fetch_source.py INDEX PROJECT FILE SHA256 TARGET
"""

from __future__ import annotations

import hashlib
import html
import os
import re
import sys
import urllib.parse
import urllib.request
from pathlib import Path

TIMEOUT = 120


def main() -> None:
    """Leave with the reason when there is no such file or it is another one."""
    index, project, name, sha256, target = sys.argv[1:]
    page = f"{index.rstrip('/')}/{project}/"
    with urllib.request.urlopen(page, timeout=TIMEOUT) as answer:
        text = answer.read().decode()
    link = re.search(r'href="([^"#]*' + re.escape(name) + r')[#"]', text)
    if link is None:
        sys.exit(f"fetch_source: {page} does not list {name}")
    address = urllib.parse.urljoin(page, html.unescape(link.group(1)))
    partial = Path(f"{target}.partial")
    digest = hashlib.sha256()
    with urllib.request.urlopen(address, timeout=TIMEOUT) as answer, partial.open("wb") as stream:
        while block := answer.read(1 << 20):
            digest.update(block)
            stream.write(block)
        stream.flush()
        os.fsync(stream.fileno())
    if digest.hexdigest() != sha256:
        partial.unlink()
        sys.exit(f"fetch_source: {name} has the SHA-256 {digest.hexdigest()}, expected is {sha256}")
    partial.replace(target)


if __name__ == "__main__":
    main()
