# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Podman's own unit generator, of version 5, for hosts that have an older podman or no systemd.

The generator is one binary that needs nothing but the C library, so the package of Debian 13 is fetched
(25 MB, signed, by apt) and unpacked into a cache, not installed.

Environment:
  QUADLET_GENERATOR  path of a generator to use instead
  QUADLET_CACHE      where the unpacked one is kept (default: ~/.cache/private-ai/quadlet)
  DEBIAN_MIRROR      where Debian is (default: http://deb.debian.org/debian)
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
IN_PACKAGE = "usr/libexec/podman/quadlet"


def fetch(cache: Path) -> Path:
    """Return the generator in the cache, fetched when it is not there; RuntimeError with the remedy."""
    wanted = cache / "root" / IN_PACKAGE
    if wanted.exists():
        return wanted
    for program in ("apt-get", "dpkg"):
        if shutil.which(program) is None:
            raise RuntimeError(f"{program} is missing; set QUADLET_GENERATOR to the generator of podman 5")
    if not Path(KEYRING).exists():
        raise RuntimeError(f"{KEYRING} is missing; install debian-archive-keyring, or set QUADLET_GENERATOR")
    for folder in ("state/lists/partial", "cache/archives/partial", "download"):
        (cache / folder).mkdir(parents=True, exist_ok=True)
    mirror = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
    sources = cache / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {mirror} trixie main\n", encoding="utf-8")
    options = [
        f"Dir::Etc::SourceList={sources}",
        "Dir::Etc::SourceParts=/dev/null",
        f"Dir::State={cache / 'state'}",
        "Dir::State::status=/dev/null",
        f"Dir::Cache={cache / 'cache'}",
        # Only the list of packages is needed, not what a desktop shows of them.
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
    ]
    apt = ["apt-get", "-q", *(f"-o{option}" for option in options)]
    for command in ([*apt, "update"], [*apt, "download", "podman"]):
        subprocess.run(command, check=True, cwd=cache / "download", stdout=subprocess.DEVNULL)
    package = next((cache / "download").glob("podman_*.deb"))
    unpacked = cache / "root.new"
    shutil.rmtree(unpacked, ignore_errors=True)
    subprocess.run(["dpkg", "-x", str(package), str(unpacked)], check=True)
    # Only the generator is kept; the rest of the package is 100 MB.
    final = cache / "root" / IN_PACKAGE
    final.parent.mkdir(parents=True, exist_ok=True)
    (unpacked / IN_PACKAGE).replace(final)
    for rest in ("root.new", "state", "cache", "download"):
        shutil.rmtree(cache / rest, ignore_errors=True)
    return final


@pytest.fixture(scope="session")
def generator() -> Path:
    """Return the path of the generator."""
    given = os.environ.get("QUADLET_GENERATOR")
    if given:
        return Path(given)
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "private-ai" / "quadlet"
    return fetch(Path(os.environ.get("QUADLET_CACHE", default)))
