# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""One short-lived container that does a piece of work on files of the host, without any network."""

from __future__ import annotations

import json
import os
import typing as t

from .client import MANAGED_LABEL, MANAGED_VALUE, PodmanClient
from .spec import mount_argument
from .systemd import session_environ
from .watch import Finished, Progress, watch

#: The user of the images.
USER = 1001

#: From this version on podman maps the user who runs it to any user of an image.
KEPT_AS_VERSION = (4, 3, 0)

#: A program's last line that says how it ended.
RESULT = "result: "


def user_args(rootless: bool, version: t.Sequence[int]) -> list[str]:
    """Return the options for the user of a tool: rootless, the files stay those of the user who runs it."""
    if rootless and tuple(version) < KEPT_AS_VERSION:
        # Nobody can be mapped to the image's own user, so this one is used inside, too.
        return ["--userns=keep-id", f"--user={os.geteuid()}:{os.getegid()}"]
    kept = [f"--userns=keep-id:uid={USER},gid={USER}"] if rootless else []
    return [*kept, f"--user={USER}:{USER}"]


def tool_argv(
    params: t.Mapping[str, t.Any], rootless: bool, version: t.Sequence[int] = KEPT_AS_VERSION
) -> list[str]:
    """Return the arguments of ``podman run`` for a tool.

    :param version: that of podman.
    :param params: name, image, argv, mounts (source, target, read_only), and where given entrypoint, env,
        ulimits, memory, cpus, devices, tmpfs_size, network.
    """
    argv = [
        "run",
        "--rm",
        f"--name={params['name']}",
        f"--label={MANAGED_LABEL}={MANAGED_VALUE}",
        "--pull=never",
        # Removed at once: "rm --time" came with Podman 4.0.
        "--stop-timeout=0",
    ]
    argv += [f"--network={params.get('network') or 'none'}", "--read-only", "--cap-drop=all"]
    argv += ["--security-opt=no-new-privileges", "--log-driver=none"]
    # What is mounted keeps its SELinux label: it belongs to others too.
    argv.append("--security-opt=label=disable")
    argv += user_args(rootless, version)
    argv.append(
        "--tmpfs=/tmp:rw,mode=1777" + (f",size={params['tmpfs_size']}" if params.get("tmpfs_size") else "")
    )
    argv += [f"--mount={mount_argument(mount)}" for mount in params["mounts"]]
    argv += [f"--env={name}={value}" for name, value in sorted((params.get("env") or {}).items())]
    argv += [f"--ulimit={name}={value}" for name, value in sorted((params.get("ulimits") or {}).items())]
    argv += [f"--device={device}" for device in params.get("devices") or []]
    argv += [f"--{option}={params[option]}" for option in ("memory", "cpus") if params.get(option)]
    if params.get("entrypoint"):
        argv.append("--entrypoint=" + json.dumps(params["entrypoint"]))
    return [*argv, params["image"], *params["argv"]]


def hand_over(path: str, rootless: bool) -> None:
    """Let the user of the images write into a directory of ours."""
    if not rootless:
        os.chown(path, USER, USER)


def drop_left_over(client: PodmanClient, name: str) -> bool:
    """Remove the container of a killed run, which may still work; return whether there was one."""
    if not client.exists("container", name):
        return False
    client.run(["rm", "--force", "--ignore", name])
    return True


def run_tool(
    client: PodmanClient,
    params: t.Mapping[str, t.Any],
    progress: Progress,
    log_file: str | None = None,
    timeout: float = 3600,
) -> tuple[Finished, dict[str, t.Any] | None]:
    """Run a tool to its end; return how it ended and what its ``result:`` line holds, None without one."""
    drop_left_over(client, params["name"])
    rootless = os.geteuid() != 0
    version = client.version() if rootless else KEPT_AS_VERSION
    argv = client.argv(tool_argv(params, rootless, version))
    try:
        done = watch(argv, log_file, progress, session_environ(os.environ, os.geteuid()), timeout=timeout)
    finally:
        # Ending podman does not end the container.
        drop_left_over(client, params["name"])
    return done, result_of(done.tail)


def result_of(lines: t.Sequence[str]) -> dict[str, t.Any] | None:
    """Return what the last ``result:`` line holds."""
    for line in reversed(lines):
        if line.startswith(RESULT):
            try:
                found = json.loads(line[len(RESULT) :])
            except ValueError:
                return None
            return found if isinstance(found, dict) else None
    return None
