"""The stand-in's command as a release has its program: one file `skupper` in an archive.

It runs with the system's Python where that has PyYAML and cryptography, as in the execution environment.
"""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import zipapp
from pathlib import Path

_MAIN = "import sys\n\nfrom skupper.cli.program import main\n\nsys.exit(main(sys.argv[1:]))\n"


def write(archive: Path) -> Path:
    """Write the archive; its path."""
    with tempfile.TemporaryDirectory() as folder:
        tree, program = Path(folder, "tree"), Path(folder, "skupper")
        leave_out = shutil.ignore_patterns("__pycache__", "bin", "fixtures")
        shutil.copytree(Path(__file__).parent, tree / "skupper", ignore=leave_out)
        (tree / "__main__.py").write_text(_MAIN, encoding="utf-8")
        zipapp.create_archive(tree, program, interpreter="/usr/bin/python3")
        with tarfile.open(archive, "w:gz") as content:
            content.add(program, "skupper")
    return archive
