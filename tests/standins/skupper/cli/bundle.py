"""`system generate-bundle`: a site as an archive, or as a script with it, for a host without Skupper.

The archive has the namespace's directory, rendered with placeholders, and an install.sh; the installer is
our own and short: it puts the files into the data home, fills the placeholders in and starts the unit (`-n`
namespace, `-p` platform, `-x` removes, `-d` copies the static links).
"""

from __future__ import annotations

import io
import shutil
import tarfile
import tempfile
import time
from pathlib import Path

from ..model import units
from ..model.kinds import CLI_VERSION
from ..model.layout import SCRIPTS, bundles_path, shown_home
from ..model.site_state import SiteState, StateError, check, load
from . import bootstrap, inputs, render, validate
from .command import Call
from .errors import Failed, refuse

INSTALL = Path(__file__).with_name("install.sh")
MARK = "\n__TARBALL_CONTENT__\n"
UNPACK = """start=$(awk '/^__TARBALL_CONTENT__$/ {print NR + 1; exit 0}' "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
tail -n "+$start" "$0" | tar -xzf - -C "$folder"
cd "$folder"
"""


def generate(call: Call) -> None:
    """Writes `<data home>/bundles/<name>.tar.gz` or `.sh`."""
    wrong: list[str] = []
    if not call.args:
        wrong.append("You need to specify a name for the bundle file to generate.")
    elif len(call.args) > 1:
        wrong.append("This command does not accept more than one argument.")
    namespace = inputs.namespace(call, wrong)
    source = str(call["input"])
    if source and Path(source).exists() and not Path(source).is_dir():
        wrong.append("The input path must be a directory")
    elif source and not Path(source).exists():
        wrong.append("The input path does not exist")
    if call["type"] and (error := validate.option(call["type"], ("tarball", "shell-script"))):
        wrong.append(f"Invalid bundle type: {error}")
    refuse(wrong)
    folder = bootstrap.before(
        call.configured, namespace, str(Path(source).resolve()) if source else "", bundle=True
    )
    try:
        try:
            state = load(folder)
        except StateError as error:
            raise StateError(f"failed to load site state: {error}") from error
        state.set_namespace(namespace)
        try:
            check(state)
            path = _bundle(call.configured, state, call.args[0], call["type"] == "shell-script")
        except StateError as error:
            raise StateError(f"failed to render site state: {error}") from error
    except StateError as error:
        raise Failed(f"Failed to generate bundle: {error}") from error
    print(f'Site "{state.name}" has been created (as a distributable bundle)')
    print("Installation bundle available at:", shown_home() / "bundles" / path.name)
    print("Default namespace:", state.namespace)
    print("Default platform:", call.configured)


def _bundle(platform: str, loaded: SiteState, name: str, script: bool) -> Path:
    running = loaded.copy()
    running.site_id = "{{.SiteId}}"
    bootstrap.redeem_all(running)
    bootstrap.local_access(running, bundle=True)
    render.certificates(running)
    bundles_path().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=bundles_path()) as folder:
        home = Path(folder, loaded.namespace)
        render.write(platform, loaded, running, home)
        for kind in ("linux", "container"):
            text = units.unit_text(kind, "{{.Namespace}}", "{{.SiteId}}", runtime="{{.RuntimeDir}}").replace(
                str(shown_home()), "{{.Home}}"
            )
            (home / SCRIPTS / f"skupper.service.{kind}").write_text(text, encoding="utf-8")
        installer = INSTALL.read_text(encoding="utf-8")
        words = {
            "SITE": running.name,
            "NAMESPACE": running.namespace,
            "PLATFORM": platform,
            "VERSION": CLI_VERSION,
        }
        for key, value in words.items():
            installer = installer.replace(f"@{key}@", value)
        archive = _archive(home, "" if script else installer)
        shutil.rmtree(home)
    path = bundles_path(f"{name}.sh" if script else f"{name}.tar.gz")
    content = (
        (installer.replace("# @UNPACK@\n", UNPACK) + "exit 0" + MARK).encode() + archive
        if script
        else archive
    )
    path.write_bytes(content)
    path.chmod(0o755 if script else 0o644)
    return path


def _archive(home: Path, installer: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        # Without the directory itself, as the real one: where a file has its name, nothing can be unpacked.
        for path in sorted(home.rglob("*")):
            archive.add(path, arcname=str(path.relative_to(home.parent)), recursive=False)
        if installer:
            entry = tarfile.TarInfo("install.sh")
            entry.size, entry.mode, entry.mtime = len(installer.encode()), 0o755, int(time.time())
            archive.addfile(entry, io.BytesIO(installer.encode()))
    return buffer.getvalue()
