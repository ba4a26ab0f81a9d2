"""The supported matrix: the collection on an ansible-core and a Python of its own.

Where this host's Python is that of the cell, the cell runs with it; otherwise in a root file system of the
cell's Debian release (mmdebstrap, kept in the cache, root only), from which plays on this host reach it by
connection `chroot`. Every cell takes the other collections from the `ansible` package of the tests.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from steps import BIN, CACHE, JUNIT, ROOT, Count, Job, together

KEPT = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "private-ai-tests/matrix"
#: What a cell's Python needs besides.
PACKAGES = "python3,ca-certificates,iproute2,procps"
#: Targets of tests/integration that need nothing but files.
TARGETS = ("api_key", "gguf_file", "model_store")


@dataclass(frozen=True)
class Cell:
    """What runs the collection; its packages are in requirements/matrix-<name>.lock."""

    python: str
    release: str


CELLS = {
    "core-2.16": Cell("3.11", "bookworm"),
    "core-2.19": Cell("3.11", "bookworm"),
    "newest": Cell("3.13", "trixie"),
}
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
#: The one of `make test`: it needs no other root where there is one for this host's Python.
CHEAPEST = next((name for name, cell in CELLS.items() if cell.python == HERE), "core-2.16")


def run(*command: str) -> None:
    """Run a command of the preparation; RuntimeError with what it said."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        # As in bootstrap.sh: uv takes the host's authorities only when it is told to.
        env={**os.environ, "UV_NATIVE_TLS": "1", "UV_SYSTEM_CERTS": "1"},
    )
    if done.returncode:
        raise RuntimeError(f"{shlex.join(command)}: {(done.stdout + done.stderr)[-2000:]}")


def kept(name: str, content: str) -> tuple[Path, Path]:
    """Where something is kept, and where it is made; it is there when nothing is to be made."""
    place = KEPT / f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    KEPT.mkdir(parents=True, exist_ok=True)
    return place, Path(tempfile.mkdtemp(prefix=".new-", dir=KEPT)) if not place.exists() else place


def packages(name: str, python: str) -> Path:
    """The directory with what requirements/<name>.lock lists for a Python, installed when it is not there."""
    lock = ROOT / f"requirements/{name}.lock"
    place, new = kept(f"{name}-{python}", lock.read_text(encoding="utf-8"))
    if new != place:
        print(f"  -- the packages of {name}, once", flush=True)
        wanted = ["--python", sys.executable, "--python-version", python, "--target", str(new)]
        run(str(BIN / "uv"), "pip", "install", "--quiet", *wanted, "--require-hashes", "-r", str(lock))
        new.rename(place)
    return place


def root(release: str) -> Path:
    """The root file system of a Debian release, made when it is not there."""
    if os.geteuid():
        raise RuntimeError(f"a root file system of {release} needs root; run this cell as root")
    place, new = kept(f"root-{release}", PACKAGES)
    if new != place:
        print(f"  -- a root file system of Debian {release}, once", flush=True)
        mirror = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
        keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
        options = ["--variant=apt", f"--include={PACKAGES}", "--mode=root", f"--keyring={keyring}"]
        run("mmdebstrap", "--quiet", *options, release, str(new), mirror)
        for mount in ("run/host", str(ROOT)[1:], str(KEPT)[1:]):
            (new / mount).mkdir(parents=True, exist_ok=True)
        new.chmod(0o755)
        new.rename(place)
    return place


def entrance(cell: Cell) -> list[str]:
    """The command that leads to the cell's Python: none where this host has it."""
    if cell.python == HERE:
        return [str(Path(sys.executable).resolve())]
    place = shlex.quote(str(root(cell.release)))
    mounts = [("/", "run/host"), ("/dev", "dev"), ("/proc", "proc"), ("/sys", "sys")]
    mounts += [(str(path), str(path)[1:]) for path in (ROOT, KEPT)]
    script = "set -e\n"
    for source, target in mounts:
        there = f"{place}/{shlex.quote(target)}"
        script += f"mkdir -p {there}\nmount --rbind {shlex.quote(source)} {there}\n"
    script += f'cd {place}\nexec chroot . /usr/bin/env --chdir={shlex.quote(str(ROOT))} python3 "$@"'
    return ["unshare", "--mount", "--propagation=private", "sh", "-c", script, "cell"]


def jobs(name: str) -> list[Job]:
    """What a cell runs, the quickest first."""
    python = entrance(CELLS[name])
    libraries = packages(f"matrix-{name}", CELLS[name].python)
    # The collections of the `ansible` package lie beside the tools of the tests, and Ansible is told where.
    others = next((BIN.parent / "lib").glob("python3*/site-packages"))
    plays = CACHE / "matrix"
    plays.mkdir(parents=True, exist_ok=True)
    settings = {
        "PYTHONPATH": f"{libraries}:{ROOT / 'collections'}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": f"/usr/local/bin:{os.environ['PATH']}:/usr/sbin:/sbin",
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": f"{ROOT / 'collections'}:{others}",
        "ANSIBLE_ROLES_PATH": str(ROOT / "tests/integration/targets"),
        "ANSIBLE_HOME": str(plays / f"home-{name}"),
    }
    local = ["-i", "localhost,", "-c", "local"]

    def job(title: str, *command: str, report: Path | None = None) -> Job:
        return Job(title, [*python, "-m", *command], env=settings, report=report)

    def play(*arguments: str) -> tuple[str, ...]:
        # The interpreter of the modules is that of the cell.
        return (
            "ansible",
            "playbook",
            *arguments,
            "-e",
            "ansible_python_interpreter={{ ansible_playbook_python }}",
        )

    units = JUNIT / f"matrix-{name}.xml"
    found = [job("version", "ansible", "playbook", "--version")]
    found += [
        job(
            "unit tests",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--junitxml={units}",
            "tests/unit",
            report=units,
        )
    ]
    playbooks = [str(path) for path in sorted((ROOT / "playbooks").glob("*.yml"))]
    found += [job("syntax of every playbook", *play(*local, "--syntax-check", *playbooks))]
    for kind, folder in (("role", "roles"), ("module", "plugins/modules")):
        names = sorted(
            f"private_ai.chatbot.{path.stem}" for path in (ROOT / folder).iterdir() if path.stem[0] != "_"
        )
        found += [job(f"documentation of every {kind}", "ansible", "doc", "-t", kind, "-j", *names)]
    host = ["-i", "inventories/quickstart"]
    if CELLS[name].python != HERE:
        host += ["-e", "ansible_connection=community.general.chroot", "-e", "ansible_host=/run/host"]
    site = play(*host, "site.yml")
    refused = job("an argument is refused", *site, "-e", "private_model_source=floppy")
    refused.status, refused.says = 2, "value of private_model_source must be one of: demo"
    found += [refused, job("site.yml, predicted", *site, "--check", "--diff")]
    for playbook, arguments in (("status", ()), ("model", ("--check",))):
        file = f"playbooks/{playbook}.yml"
        found += [job(file, *play(*host, file, *arguments))]
    for target in TARGETS:
        path = plays / f"{target}.yml"
        path.write_text(json.dumps([{"hosts": "localhost", "gather_facts": True, "roles": [target]}]))
        found += [job(target, *play(*local, str(path)))]
    return found


def matrix(name: str) -> Count:
    """Run a cell."""
    if shutil.which("unshare") is None and CELLS[name].python != HERE:
        raise RuntimeError("unshare is missing; install util-linux")
    return together(jobs(name))
