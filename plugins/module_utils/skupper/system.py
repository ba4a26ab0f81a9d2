# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""The running site of a host: what is looked at, and what is decided from it."""

from __future__ import annotations

import io
import os
import pwd
import socket
import tarfile
import typing as t
from dataclasses import dataclass

from ..files import write_file
from .errors import InvalidValue, SkupperError
from .namespaces import SECRET_MODE, Documents, FileStore
from .ownership import Object, value_at

#: Skupper's own unit for platform linux has no Restart=: a router that dies would stay dead.
DROP_IN_NAME = "50-private-ai-restart.conf"
DROP_IN = b"""\
# Written by private_ai.chatbot.skupper_system.
[Service]
Restart=always
RestartSec=2
"""


@dataclass(frozen=True)
class State:
    """What is there.

    :param defined: whether the input has a site.
    :param pending: objects whose input differs from what was started.
    :param running: whether the router runs; None where it cannot be asked.
    :param open_files: files with keys that others may read.
    :param drop_in: whether the unit's drop-in is as it should be.
    :param enabled: whether the site starts with the host; None where there is no unit, or nobody to ask.
    :param lost: whether what was started is gone: its unit, or its container.
    """

    defined: bool
    started: bool
    pending: tuple[str, ...]
    running: bool | None
    open_files: tuple[str, ...] = ()
    drop_in: bool = True
    enabled: bool | None = None
    lost: bool = False


def decide(state: State, reload: str) -> list[str]:
    """Return what is to be done so that the site runs with its input, in order.

    :param reload: needed, always or never; a reload drops every link and stream for seconds.
    """
    steps = []
    if state.open_files:
        steps.append("close")
    if not state.drop_in:
        steps.append("drop-in")
    if not state.started:
        steps.append("start")
    elif reload == "always" or ((state.pending or state.lost) and reload == "needed"):
        # It writes unit and container anew, and keeps the site's identity.
        steps.append("reload")
    else:
        if state.enabled is False:
            steps.append("enable")
        if state.running is False and not state.lost:
            steps.append("revive")
    return steps


def unit_states(said: str) -> tuple[bool, bool]:
    """Return whether a unit runs and whether it starts with the host, of what systemctl shows of it."""
    found = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    running = found.get("ActiveState") in ("active", "activating", "reloading")
    return running, found.get("UnitFileState") == "enabled"


def unit_directory(uid: int, environ: t.Mapping[str, str]) -> str:
    """Return the directory in which the CLI writes the units of this user."""
    if uid == 0:
        return "/etc/systemd/system"
    config = environ.get("XDG_CONFIG_HOME") or os.path.join(pwd.getpwuid(uid).pw_dir, ".config")
    return os.path.join(config, "systemd", "user")


def unit_name(namespace: str) -> str:
    """Return the unit of a namespace."""
    return f"skupper-{namespace}.service"


def check_input(documents: Documents) -> list[str]:
    """Refuse an input that would fail when it is started; return what is unwise in it.

    :raises InvalidValue: before anything that runs is touched.
    """
    sites = [one["metadata"]["name"] for one in documents.all("Site")]
    if len(sites) > 1:
        raise InvalidValue(
            f"{documents.folder} has the sites {', '.join(sites)}; a namespace has one, remove the others"
        )
    places: dict[tuple[str, int], str] = {}
    for one in documents.all("Listener"):
        spec, name = one.get("spec") or {}, one["metadata"]["name"]
        place = (str(spec.get("host")), int(spec.get("port") or 0))
        if place in places:
            raise InvalidValue(
                f"the listeners {places[place]} and {name} both have {place[0]}:{place[1]}; give one of them "
                "another port"
            )
        places[place] = name
    return [
        f"the AccessToken {one['metadata']['name']} in {documents.folder} is redeemed again at every "
        "reload, which "
        "fails once it is spent or has expired; redeem it once with the module skupper_link and remove it"
        for one in documents.all("AccessToken")
    ]


def open_files(root: str) -> list[str]:
    """Return files with keys below a namespace that others than the owner may read or write."""
    found = []
    for folder, _folders, names in os.walk(root):
        links = os.path.relpath(folder, root) == os.path.join("runtime", "links")
        for name in names:
            holds_key = name == "tls.key" or name.startswith("Secret-") or links
            path = os.path.join(folder, name)
            if holds_key and not os.path.islink(path) and os.stat(path).st_mode & 0o777 & ~SECRET_MODE:
                found.append(path)
    return sorted(found)


def local_port(store: FileStore) -> int | None:
    """Return the port on which the router answers tools of this host, None before the first start."""
    access = store.running().get("RouterAccess", "skupper-local") or {}
    roles = value_at(access, ("spec", "roles")) or []
    return next((int(one["port"]) for one in roles if one.get("name") == "normal" and one.get("port")), None)


def answers(port: int) -> bool:
    """Return whether something listens on a port of this host."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def write_backup(root: str, path: str) -> None:
    """Write a namespace's directory as an archive that only the owner may read."""
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise SkupperError(f"backup is {path!r} and {folder!r} is no directory; make it first")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for place, folders, files in os.walk(root, onerror=_unless_gone):
            for name in [".", *files, *(one for one in folders if os.path.islink(os.path.join(place, one)))]:
                _archive(archive, os.path.normpath(os.path.join(place, name)), root)
    write_file(path, buffer.getvalue(), SECRET_MODE)


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _archive(archive: tarfile.TarFile, place: str, root: str) -> None:
    """Add one file, link or directory; the router goes on replacing and shortening its own meanwhile."""
    try:
        member = archive.gettarinfo(place, os.path.relpath(place, os.path.dirname(root)))
        content = b""
        if member is not None and member.isreg():
            with open(place, "rb") as stream:
                content = stream.read()
            member.size = len(content)
    except FileNotFoundError:
        return
    # A socket is no member.
    if member is not None:
        archive.addfile(member, io.BytesIO(content))


def controller_name(uid: int) -> str:
    """Return the container of the system controller of this user."""
    return f"{pwd.getpwuid(uid).pw_name}-skupper-controller"


def reload_type_of(container: t.Mapping[str, t.Any]) -> str:
    """Return how an installed system controller reloads."""
    environ = value_at(dict(container), ("Config", "Env")) or []
    values = dict(one.split("=", 1) for one in environ if "=" in one)
    return str(values.get("SKUPPER_SYSTEM_RELOAD_TYPE") or "manual")


def is_running(container: t.Mapping[str, t.Any]) -> bool:
    """Return whether an inspected container runs."""
    return bool(value_at(dict(container), ("State", "Running")))


def site_of(store: FileStore) -> Object | None:
    """Return the site that runs, with its uid."""
    return next(iter(store.running().all("Site")), None)
