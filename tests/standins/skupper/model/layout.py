"""Where a site that is not on Kubernetes keeps its files, for which user, in or out of a container."""

from __future__ import annotations

import os
from pathlib import Path

ROOT_HOME = Path("/var/lib/skupper")
ROOT_UNITS = Path("/etc/systemd/system")
# Skupper takes these for the sign of its own container, also on hosts that are none.
CONTAINER_SIGNS = (Path("/run/.containerenv"), Path("/.dockerenv"))
CONTAINER_OUTPUT = Path("/output")

INPUT = "input/resources"
INPUT_CERTS = "input/certs"
INPUT_ISSUERS = "input/issuers"
RUNTIME = "runtime/resources"
ROUTER = "runtime/router"
CERTS = "runtime/certs"
ISSUERS = "runtime/issuers"
LINKS = "runtime/links"
SNAPSHOT = "internal/snapshot"
SCRIPTS = "internal/scripts"
PLATFORM = "internal/platform.yaml"
MADE = (ROUTER, ISSUERS, CERTS, INPUT_ISSUERS, INPUT_CERTS, INPUT, SNAPSHOT, RUNTIME, LINKS, SCRIPTS)
MADE_AGAIN = (ROUTER, CERTS, RUNTIME, LINKS, SCRIPTS, SNAPSHOT)


def in_container() -> bool:
    """Whether Skupper believes so."""
    return any(sign.exists() for sign in CONTAINER_SIGNS)


def data_home() -> Path:
    """By user: root's is fixed."""
    if os.getuid() == 0:
        return ROOT_HOME
    home = os.environ.get("XDG_DATA_HOME")
    return Path(home if home is not None else Path.home() / ".local/share") / "skupper"


def shown_home() -> Path:
    """The data home as it is told to people: the host's, when a container was told it."""
    return Path(os.environ.get("SKUPPER_OUTPUT_PATH") or data_home())


def written_home() -> Path:
    """The data home that is written to."""
    return CONTAINER_OUTPUT if in_container() and CONTAINER_OUTPUT.is_dir() else data_home()


def namespace_path(namespace: str, part: str = "") -> Path:
    """A namespace's directory, or a part of it."""
    return written_home() / "namespaces" / (namespace or "default") / part


def shown_path(namespace: str, part: str = "") -> Path:
    """The same as it is told to people."""
    return shown_home() / "namespaces" / (namespace or "default") / part


def bundles_path(part: str = "") -> Path:
    """Where bundles are made."""
    return written_home() / "bundles" / part


def runtime_dir() -> Path:
    """The user's directory of sockets."""
    if os.getuid() == 0:
        return Path("/run")
    return Path(os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}"))


def units_dir() -> Path:
    """The directory of the user's systemd units."""
    if os.getuid() == 0:
        return ROOT_UNITS
    home = os.environ.get("XDG_CONFIG_HOME")
    return Path(home if home is not None else Path.home() / ".config") / "systemd/user"


def go_error(error: OSError, call: str) -> str:
    """An OSError in Go's words: `open /x: no such file or directory`."""
    text = os.strerror(error.errno or 0)
    return f"{call} {error.filename}: {text[:1].lower()}{text[1:]}"
