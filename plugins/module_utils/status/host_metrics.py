# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Write what no exporter knows about the private model into a file for the node exporter.

    python3 private-ai-metrics --output FILE.prom [--data DIRECTORY] [--skupper DIRECTORY]

Also copied to hosts as a program of its own, so it imports nothing of this collection. Run it every few
minutes. The file is replaced whole; a certificate that cannot be read is left out and named on standard
error, and the exit status is 1 then.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from calendar import timegm
from pathlib import Path

HELP = {
    "private_ai_certificate_not_after_timestamp_seconds": "When a certificate of a Skupper site ends.",
    "private_ai_models_filesystem_size_bytes": "Size of the file system with the models.",
    "private_ai_models_filesystem_free_bytes": "What of it is free.",
    "private_ai_models_bytes": "What the models take, files with two names counted once.",
    "private_ai_collected_timestamp_seconds": "When this was found out.",
}


def not_after(path: Path) -> int:
    """Return when the first certificate in a PEM file ends; ValueError when it holds none."""
    done = subprocess.run(
        ["openssl", "x509", "-noout", "-enddate", "-in", str(path)],
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
        check=False,
    )
    if done.returncode or not done.stdout.startswith("notAfter="):
        raise ValueError(f"{path} holds no readable certificate")
    return timegm(time.strptime(done.stdout.strip().removeprefix("notAfter="), "%b %d %H:%M:%S %Y GMT"))


def certificates(skupper: Path) -> list[Path]:
    """Return the certificates of the sites; those of the input would be the same ones again."""
    return sorted(skupper.glob("*/runtime/certs/*/*.crt"))


def size_of(folder: Path) -> int:
    """Return the bytes of the files below a folder."""
    seen = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        if path.is_file() and not path.is_symlink():
            seen[status.st_ino] = status.st_size
    return sum(seen.values())


def line(name: str, value: float, **labels: str) -> str:
    """Return a sample."""
    quoted = [
        '{}="{}"'.format(key, text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n"))
        for key, text in labels.items()
    ]
    return f"{name}{{{','.join(quoted)}}} {value:.0f}" if quoted else f"{name} {value:.0f}"


def collect(data: Path, skupper: Path) -> tuple[list[str], list[str]]:
    """Return the samples and the problems."""
    lines, problems = [], []
    for path in certificates(skupper):
        try:
            lines.append(
                line("private_ai_certificate_not_after_timestamp_seconds", not_after(path), path=str(path))
            )
        except (OSError, ValueError) as error:
            problems.append(str(error))
    if data.is_dir():
        disk = shutil.disk_usage(data)
        lines.append(line("private_ai_models_filesystem_size_bytes", disk.total, path=str(data)))
        lines.append(line("private_ai_models_filesystem_free_bytes", disk.free, path=str(data)))
        lines.append(line("private_ai_models_bytes", size_of(data / "models"), path=str(data)))
    lines.append(line("private_ai_collected_timestamp_seconds", time.time()))
    return lines, problems


def main() -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("/var/lib/private-ai"))
    parser.add_argument("--skupper", type=Path, default=Path("/var/lib/skupper/namespaces"))
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    lines, problems = collect(options.data, options.skupper)
    text = []
    for name, meaning in HELP.items():
        samples = [sample for sample in lines if sample.partition("{")[0].partition(" ")[0] == name]
        if samples:
            text += [f"# HELP {name} {meaning}", f"# TYPE {name} gauge", *samples]
    # The node exporter reads *.prom only: it never sees half a file.
    partial = options.output.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as stream:
        stream.write("\n".join(text) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    partial.chmod(0o644)
    partial.replace(options.output)
    for problem in problems:
        sys.stderr.write(f"private-ai-metrics: {problem}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
