# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Waiting for a container to be up."""

from __future__ import annotations

import time
import typing as t

from .client import PodmanClient, PodmanError
from .service import observe

#: Seconds for which a container must have run without a restart before it counts as up.
SETTLE = 1.0
_POLL = 0.2
_LOG_LINES = 10
#: Restarts while we wait that make waiting pointless.
_CRASHES = 5


def wait_until_up(
    client: PodmanClient, name: str, timeout: float, ready: t.Sequence[str], settle: float = SETTLE
) -> None:
    """Return when container ``name`` ran ``settle`` seconds without a restart and ``ready`` ended with 0.

    :param timeout: seconds until PodmanError, which tells the last state, the last log lines and what to run.
    :param ready: command run inside the container; empty means that running is enough.
    """
    deadline = time.monotonic() + timeout
    since, seen, why = time.monotonic(), "", "was not seen"
    first: int | None = None
    while True:
        now = observe(client.inspect("container", name))
        if now is not None:
            first = now.restarts if first is None else first
            if now.restarts - first >= _CRASHES:
                why = f"ends again and again, last with exit status {now.exit_code},"
                break
        if now is None or not now.running:
            seen = ""
            why = "does not exist" if now is None else f"is {now.status} with exit status {now.exit_code}"
        elif now.started_at != seen:
            since, seen, why = time.monotonic(), now.started_at, "has only just started"
        elif time.monotonic() - since >= min(settle, timeout):
            if not ready:
                return
            probe = client.run(
                ["exec", name, *ready], check=False, timeout=max(1.0, deadline - time.monotonic())
            )
            if probe.rc == 0:
                return
            why = (
                f"runs, but its check {' '.join(ready)!r} ends with {probe.rc}: {probe.stderr.strip()[-500:]}"
            )
        if time.monotonic() >= deadline:
            break
        time.sleep(_POLL)
    restarts = f" after {now.restarts} restarts" if now is not None and now.restarts else ""
    waited = timeout - (deadline - time.monotonic())
    message = f"container {name} {why}{restarts}; waited {waited:.1f} s. See more: podman logs {name}"
    logs = client.logs(name, _LOG_LINES)
    if logs:
        message += f"\nIts last lines:\n{logs}"
    raise PodmanError(message, client.argv(["start", name]), None, "", logs)
