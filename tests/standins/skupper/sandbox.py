"""Runs a command where it hurts nobody what a site writes as root.

    sandbox.py [--container] [--keep DIRECTORY] [--share DIRECTORY] [--alone] -- COMMAND...

The command sees this host's files, but for the sites that it has. What it writes is gone afterwards, or is
below DIRECTORY/upper with `--keep`: the same directory again goes on from there. A shared directory is the
host's own, also to write. `/run` is empty. With `--alone` it has a network of its own, in which no port is
taken. `--container` leaves the sign that makes Skupper believe that it runs in its own container; without it
there is none, also on a host that has one. Needs root.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

# Positional: work directory, sign of a container or '', `alone` or '', shared directories, `--`, command.
SCRIPT = r"""
set -eu
work=$1 sign=$2 alone=$3
shift 3
[ -z "$alone" ] || ip link set lo up
first=$([ -d "$work/upper" ] || echo yes)
mkdir -p "$work/upper" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$work/root"
[ -z "$first" ] || rm -rf "$work/root/var/lib/skupper"
for one in proc dev sys; do mount --rbind "/$one" "$work/root/$one"; done
while [ "$1" != -- ]; do
  mkdir -p "$work/root$1"
  mount --bind "$1" "$work/root$1"
  shift
done
shift
mount -t tmpfs tmpfs "$work/root/run"
rm -f "$work/root/.dockerenv"
[ -z "$sign" ] || : >"$work/root$sign"
exec chroot "$work/root" sh -c 'cd "$0" && exec "$@"' "$PWD" "$@"
"""


def command(
    argv: list[str],
    *,
    container: bool = False,
    keep: Path | None = None,
    share: list[Path] | None = None,
    alone: bool = False,
) -> list[str]:
    """The command line that runs `argv` in a sandbox; without `keep` its files are in memory."""
    if os.getuid():
        raise PermissionError(
            f"a sandbox is made of mounts, which user {os.getuid()} may not make; run this as root"
        )
    inner = ["sh", "-c", SCRIPT, "sandbox"]
    before = []
    if keep is None:
        # A file system of its own in front: an overlay cannot keep its files below what it shows.
        before = ["sh", "-c", 'mount -t tmpfs tmpfs /mnt && exec "$@"', "sandbox"]
        keep = Path("/mnt")
    sign = "/.dockerenv" if container else ""
    shared = [str(one) for one in share or []]
    return [
        "unshare",
        "--mount",
        *(["--net"] if alone else []),
        "--propagation",
        "private",
        *before,
        *inner,
        str(keep),
        sign,
        "alone" if alone else "",
        *shared,
        "--",
        *argv,
    ]


def main() -> int:
    """Entry point; the command's status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--container", action="store_true")
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--share", type=Path, action="append", default=[])
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    argv = command(
        options.command,
        container=options.container,
        keep=options.keep,
        share=options.share,
        alone=options.alone,
    )
    return subprocess.run(argv, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
