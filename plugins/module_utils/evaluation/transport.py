# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""Ask from inside a container that nobody outside can reach."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import typing as t

from . import ask
from .ask import AskError

Conversations = t.Sequence[t.Sequence[t.Mapping[str, str]]]


def program() -> str:
    """Return the source of ``ask``, from a file or from the archive in which modules come to a host."""
    loader = ask.__loader__
    source = loader.get_source(ask.__name__) if loader is not None and hasattr(loader, "get_source") else None
    if not source:
        raise AskError("the program that asks is not part of this copy of the collection; install it anew")
    # Ansible's own loader, of tests and of the control node, returns bytes.
    return source.decode("utf-8") if isinstance(source, bytes) else str(source)


def ask_in_container(
    argv: t.Sequence[str], settings: t.Mapping[str, t.Any], conversations: Conversations
) -> t.Iterator[dict[str, t.Any]]:
    """Do what :func:`ask.ask_all` does, in a container.

    :param argv: the command that runs Python in it (``podman exec -i NAME python3``); the program follows.
    """
    limit = float(settings["wait_timeout"]) + float(settings["timeout"]) * len(conversations) + 30
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # pylint: disable=consider-using-with
            [*argv, "-c", program()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PODMAN_IGNORE_CGROUPSV1_WARNING": "1"},
        )
        # The program has limits of its own; this one is for a podman that hangs.
        watchdog = threading.Timer(limit, process.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            stdin, stdout = t.cast("t.IO[str]", process.stdin), t.cast("t.IO[str]", process.stdout)
            try:
                # By standard input, because arguments can be read by everybody on the host.
                json.dump({"settings": dict(settings), "conversations": list(conversations)}, stdin)
                stdin.close()
            except BrokenPipeError:
                pass  # its exit status and its errors say more
            for line in stdout:
                answer = json.loads(line)
                if "error" in answer:
                    raise AskError(str(answer["error"]))
                yield answer
            if process.wait() != 0:
                errors.seek(0)
                said = errors.read().decode("utf-8", "replace").strip()[-500:]
                raise AskError(
                    f"{' '.join(argv)} ended with exit status {process.returncode}: {said or 'no message'}. "
                    "Remedy: look whether the container runs and has python3"
                )
        finally:
            watchdog.cancel()
            if process.poll() is None:
                process.kill()
            process.wait()
