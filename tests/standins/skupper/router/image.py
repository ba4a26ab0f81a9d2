"""Build the image of the stand-in router's pods, by Podman, from an image that has python3.

    python -m tests.standins.skupper.router.image [--base IMAGE] [--tag IMAGE]

Nothing is run while it is built, so that it is built wherever Podman is; it takes seconds.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TAG = "localhost/private-ai-tests/skupper-router:stand-in"
BASES = ("localhost/private-ai/base:latest", "localhost/private-ai/base:trixie")
PACKAGE = Path(__file__).resolve().parents[1]
PARTS = ("__init__.py", "kube.py", "model", "router")
HOME = "/opt/stand-in"
CONTAINERFILE = f"""ARG BASE
FROM ${{BASE}}
COPY tests {HOME}/tests
ENV PYTHONPATH={HOME} PYTHONDONTWRITEBYTECODE=1
WORKDIR {HOME}
USER 10000:10000
ENTRYPOINT []
CMD ["python3", "-m", "tests.standins.skupper.router", "--help"]
"""


def _podman(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["podman", *words], capture_output=True, text=True, timeout=300, check=False)


def base_image() -> str:
    """The project's base image, as its roles have built it; RuntimeError when there is none."""
    for name in BASES:
        if _podman("image", "exists", name).returncode == 0:
            return name
    raise RuntimeError(
        f"none of {', '.join(BASES)} is here; run `make quickstart` once, or name one with --base"
    )


def build(base: str = "", tag: str = TAG) -> str:
    """Build it, and return its name; RuntimeError with what Podman said otherwise."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        target = folder / "tests/standins/skupper"
        target.mkdir(parents=True)
        for part in PARTS:
            source = PACKAGE / part
            if source.is_dir():
                shutil.copytree(source, target / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target / part)
        (folder / "Containerfile").write_text(CONTAINERFILE, encoding="utf-8")
        done = _podman("build", "--build-arg", f"BASE={base or base_image()}", "--tag", tag, name)
    if done.returncode:
        raise RuntimeError(f"podman build failed: {done.stderr[-2000:]}")
    return tag


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="", help="an image with python3")
    parser.add_argument("--tag", default=TAG)
    options = parser.parse_args()
    try:
        print(build(options.base, options.tag))
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
