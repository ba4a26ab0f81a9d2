"""What Galaxy says of the collection: its importer, on the archive that `make build` makes.

Linting is left out: the step `lint` does it with the same ansible-lint and a stricter profile.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from matrix import HERE, packages
from steps import BIN, ROOT, Count, environment, verdict


def complaints(said: str) -> list[str]:
    """The lines that are neither progress nor praise."""
    return [line for line in said.splitlines() if re.search(r"\b(WARNING|ERROR|CRITICAL)\b|Traceback", line)]


def importer() -> Count:
    """Build the archive, import it, and look for a word of complaint."""
    site = packages("importer", HERE)
    with tempfile.TemporaryDirectory(prefix="private-ai-importer-") as place:
        build = [str(BIN / "ansible-galaxy"), "collection", "build", "--output-path", place]
        subprocess.run(build, cwd=ROOT, env=environment(), check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(place).glob("*.tar.gz")
        settings = environment(
            PYTHONPATH=str(site),
            HOME=place,
            NO_COLOR="1",
            GALAXY_IMPORTER_RUN_ANSIBLE_LINT="false",
        )
        settings["PATH"] = f"{site / 'bin'}:{settings['PATH']}"
        # It has places of its own.
        for name in ("ANSIBLE_CONFIG", "ANSIBLE_COLLECTIONS_PATH", "ANSIBLE_HOME"):
            settings.pop(name, None)
        command = [sys.executable, "-m", "galaxy_importer.main", str(archive)]
        done = subprocess.run(
            command, cwd=place, env=settings, capture_output=True, text=True, timeout=600, check=False
        )
        said = done.stdout + done.stderr
        found = complaints(said)
        clean = done.returncode == 0 and not found and "processing completed successfully" in said
        print("\n".join(found) or said[-2000:] if not clean else "  nothing to complain about", flush=True)
        return verdict(int(not clean))
