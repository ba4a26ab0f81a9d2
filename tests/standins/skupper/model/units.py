"""The systemd unit that Skupper writes for a site, and the calls of systemctl that it makes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from .layout import ROUTER, SCRIPTS, in_container, namespace_path, runtime_dir, shown_path, units_dir

_HEAD = """[Unit]
Description=skupper-{namespace}.service
Wants=network-online.target
After=network-online.target
"""
_ROUTER = """
[Service]
TimeoutStopSec=70
Type=simple
ExecStart=skrouterd -c {router}/skrouterd.json
Environment="SKUPPER_SITE_ID={site_id}"
"""
_CONTAINER = """RequiresMountsFor={runtime}/containers

[Service]
TimeoutStopSec=70
RemainAfterExit=yes
ExecStart=/bin/bash {scripts}/start.sh
ExecStop=/bin/bash {scripts}/stop.sh
Type=simple
"""
_TAIL = """
[Install]
WantedBy=default.target
"""


class UnitError(Exception):
    """Why there is no unit."""


def service(namespace: str) -> str:
    """The unit's name."""
    return f"skupper-{namespace}.service"


def unit_text(platform: str, namespace: str, site_id: str, runtime: str = "") -> str:
    """The unit: no Restart=, on linux a router that died stays dead."""
    text = _HEAD + (_ROUTER if platform == "linux" else _CONTAINER) + _TAIL
    return text.format(
        namespace=namespace,
        site_id=site_id,
        router=shown_path(namespace, ROUTER),
        scripts=shown_path(namespace, SCRIPTS),
        runtime=runtime or runtime_dir(),
    )


def unit_path(namespace: str) -> Path:
    """Where the unit is."""
    if in_container():
        return namespace_path(namespace, SCRIPTS) / service(namespace)
    return units_dir() / service(namespace)


def systemctl(*words: str) -> bool:
    """Whether it worked; it is not there means no."""
    user = [] if os.getuid() == 0 else ["--user"]
    try:
        done = subprocess.run(
            ["systemctl", *user, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0


def put(path: Path, text: str) -> None:
    """Write, enable and start a unit; in a container only write it."""
    if not in_container() and not systemctl("list-units", "--no-pager"):
        raise UnitError("SystemD is not enabled" + (" at user level" if os.getuid() else ""))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(path.stat().st_mode & 0o644)
    if in_container():
        return
    if not systemctl("enable", path.name):
        raise UnitError(f"unable to enable service ({path}): exit status 1")
    if not systemctl("daemon-reload"):
        raise UnitError("Unable to user service daemon-reload: exit status 1")
    if not systemctl("start", path.name):
        raise UnitError("Unable to start user service: exit status 1")


def drop(path: Path) -> None:
    """Stop and remove a unit; what does not work is passed over."""
    if in_container():
        path.unlink(missing_ok=True)
        return
    if not systemctl("list-units", "--no-pager"):
        raise UnitError("SystemD is not enabled at user level")
    systemctl("stop", path.name)
    systemctl("disable", path.name)
    path.unlink(missing_ok=True)
    systemctl("daemon-reload")
    systemctl("reset-failed", path.name)


def create(platform: str, namespace: str, site_id: str) -> None:
    """The unit of a site."""
    put(unit_path(namespace), unit_text(platform, namespace, site_id))


def remove(namespace: str) -> None:
    """No unit of a site any more."""
    drop(unit_path(namespace))


def linger_advice() -> str:
    """What a user without lingering is told."""
    import pwd

    if in_container() or os.getuid() == 0:
        return ""
    user = pwd.getpwuid(os.getuid()).pw_name
    if Path("/var/lib/systemd/linger", user).exists():
        return ""
    return f"It is recommended to enable lingering for {user}, otherwise Skupper may not start on boot.\n"
