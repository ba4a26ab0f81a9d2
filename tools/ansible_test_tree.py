"""What ansible-test asks for: the collection below `ansible_collections/`, and a home of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import ansible_test

# What ansible-test looks at; the application, its page and the tests of the whole have their own linters.
PARTS = (
    "changelogs/",
    "meta/",
    "playbooks/",
    "plugins/",
    "roles/",
    "tests/unit/",
    "tests/sanity/",
    "tests/integration/",
    # The unit tests and the targets start it.
    "tests/standins/answering_model.py",
)
FILES = ("galaxy.yml", "README.md", "LICENSE", "COPYING")
# ansible-test makes virtual environments without pip and fetches a script that installs pip from a server of
# its own. It takes the script from its cache when it is there: this one does it from Python itself and PyPI.
PIP_BOOTSTRAP = """\
import ensurepip
import subprocess
import sys

ensurepip.bootstrap()
wanted = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", "--quiet", *wanted]))
"""


def copy_collection(root: Path, cache: Path, names: list[str]) -> Path:
    """Copy the collection's files below `cache` and return the folder; links to elsewhere are refused."""
    base = cache / "ansible-test"
    tree = base / "ansible_collections" / "private_ai" / "chatbot"
    shutil.rmtree(tree, ignore_errors=True)
    for name in names:
        if name in FILES or name.startswith(PARTS):
            target = tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target, follow_symlinks=False)
    # It asks Git for the files, and the repository around would say that the cache is ignored.
    subprocess.run(["git", "init", "--quiet"], cwd=tree, check=True)
    return tree


def prepare_home(cache: Path) -> Path:
    """Return a home folder for ansible-test, so that the user's stays as it is.

    ansible-test hides the environment from pip, so the settings that a proxy with its own certificate or a
    mirror asks for (`PIP_*`) are written where pip reads them.
    """
    source = Path(ansible_test.__file__).parent / "_internal" / "python_requirements.py"
    home = cache / "ansible-test" / "home"
    scripts = home / ".ansible" / "test" / "cache"
    scripts.mkdir(parents=True, exist_ok=True)
    for version in set(re.findall(r"pip='([0-9.]+)'", source.read_text())):
        (scripts / f"get_pip_{version.replace('.', '_')}.py").write_text(PIP_BOOTSTRAP)
    # A hundred lines of downloads would hide what is tested.
    settings = {"quiet": "1", "progress-bar": "off"}
    settings |= {
        name[4:].lower().replace("_", "-"): value
        for name, value in os.environ.items()
        if name.startswith("PIP_")
    }
    bundle = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    if bundle:
        settings["cert"] = bundle
    lines = [
        "[global]",
        *(f"{name} = {value}" for name, value in sorted(settings.items()) if "\n" not in value),
    ]
    config = home / ".config" / "pip" / "pip.conf"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("\n".join(lines) + "\n")
    config.chmod(0o600)
    return home
