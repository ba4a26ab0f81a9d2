"""Put the skupper command into the image: from an address, from skupper.tgz beside this file, or not at all.

The environment: SKUPPER_URL, SKUPPER_SHA256 (needed with an address).
"""

from __future__ import annotations

import hashlib
import os
import sys
import tarfile
import urllib.request
from io import BytesIO
from pathlib import Path

TARGET = Path("/usr/local/bin/skupper")


def main() -> int:
    """Entry point; returns the exit status."""
    url, wanted = os.environ.get("SKUPPER_URL", ""), os.environ.get("SKUPPER_SHA256", "").lower()
    local = Path(__file__).with_name("skupper.tgz")
    if not url and not local.exists():
        print("no skupper command: neither SKUPPER_URL nor skupper.tgz is given")
        return 0
    if url and not wanted:
        print(
            "SKUPPER_URL is given without SKUPPER_SHA256; give the checksum of the archive", file=sys.stderr
        )
        return 1
    if url:
        with urllib.request.urlopen(url, timeout=300) as answer:  # noqa: S310 - the builder's own address
            content = answer.read()
    else:
        content = local.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if wanted and found != wanted:
        print(f"the archive's SHA-256 is {found}, expected is {wanted}; get it again", file=sys.stderr)
        return 1
    with tarfile.open(fileobj=BytesIO(content)) as archive:
        member = archive.extractfile("skupper") if "skupper" in archive.getnames() else None
        if member is None:
            print("the archive holds no file skupper; give the one of the command line tool", file=sys.stderr)
            return 1
        TARGET.write_bytes(member.read())
    TARGET.chmod(0o755)
    print(f"skupper {found[:12]} installed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
