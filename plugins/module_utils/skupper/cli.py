# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""The one place that runs the skupper command.

It prints errors on standard output, ends with 2 when it does not like a value and with 1 for all else, and
has words that do nothing and end with 0. Nothing of it is believed without a look.
"""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass

from .errors import InvalidValue, MissingPrerequisite, SkupperError

MINIMUM = (2, 1, 0)

RunCommand = t.Callable[..., tuple[int, str, str]]

#: Variables of the caller that would change what the command means; it takes an empty one for none.
_ENVIRON = {"SKUPPER_PLATFORM": "", "SKUPPER_OUTPUT_PATH": "", "KUBECONFIG": "", "LC_ALL": "C"}

MISSING = (
    "the skupper command is not on this host ({executable!r} was not found); install version 2.1 or newer "
    "from "
    "https://github.com/skupperproject/skupper/releases and name it with the option executable if it is "
    "not in PATH"
)

#: What the command says, and what helps.
_REMEDIES = (
    (r"Command not found: (\S+)", "install {0}, or choose another platform"),
    (
        r"Failed to stat /output",
        "the command takes this host for a container, because /.dockerenv or /run/.containerenv exists; if "
        "it is "
        "a host, remove that file",
    ),
    (
        r'existing namespace uses "(\w+)" platform',
        "name platform {0} in the task, or remove the namespace first",
    ),
    (
        r"Container engine is not available",
        "start the socket of the container engine: systemctl enable --now podman.socket (with --user for an "
        "ordinary user), or docker.socket",
    ),
    (r"is already mapped for host", "give each listener of the namespace a host and port of its own"),
    (r"SystemD is not enabled", "Skupper needs systemd here; an ordinary user needs lingering, too"),
    (
        r"multiple namespaces found",
        "give every object in input/resources the metadata.namespace of its directory",
    ),
    (r"No such access granted", "the token has been redeemed as often as it may be; issue another"),
    (r"No such claim", "the token has expired or its grant is gone; issue another"),
    (r"Redemption of access token refused", "the code in the token is wrong; issue another"),
    (
        r"certificate signed by unknown authority",
        "the token's CA is not that of the grant server; issue another",
    ),
    (
        r"(connection refused|Client\.Timeout exceeded|connection timed out|no route to host|no such host)",
        "the address in the token does not answer from this host; open the way to it, or use a generated "
        "link",
    ),
)


@dataclass(frozen=True)
class Completed:
    """What a call ended with."""

    rc: int
    stdout: str
    stderr: str


def parse_version(text: str) -> tuple[int, int, int] | None:
    """Return the command's own version, None for a build that does not know it.

    :raises SkupperError: when the text has no version.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    own = next((line for line in lines if re.match(r"(?i)(cli|client)\b", line)), lines[0] if lines else "")
    if own.split()[-1:] == ["undefined"]:
        return None
    found = re.search(r"v?(\d+)\.(\d+)(?:\.(\d+))?", own)
    if not found:
        raise SkupperError(
            f"the skupper command does not tell its version, it says {text.strip()!r}; is it Skupper's?"
        )
    return int(found.group(1)), int(found.group(2)), int(found.group(3) or 0)


def check_version(version: tuple[int, int, int] | None) -> None:
    """Refuse versions that lack what is needed."""
    if version is None or version >= MINIMUM:
        return
    text = ".".join(map(str, version))
    wanted = ".".join(map(str, MINIMUM[:2]))
    if version[0] < 2:
        raise SkupperError(
            f"the skupper command is version {text}; version 1 manages networks of another kind, which this "
            f"collection does not touch; install {wanted} or newer, and see "
            "https://skupper.io/docs/kubernetes-cli/migration.html for networks of version 1"
        )
    raise SkupperError(f"the skupper command is version {text}; install {wanted} or newer")


def remedy(text: str) -> str:
    """Return what helps against a message of the command, empty when it is not known."""
    for pattern, help_text in _REMEDIES:
        found = re.search(pattern, text)
        if found:
            return help_text.format(*found.groups())
    return ""


def objects(text: str) -> list[dict[str, t.Any]]:
    """Return the objects of an output in JSON: they follow each other, and "none" is an English sentence."""
    decoder, found, rest = json.JSONDecoder(), [], text.strip()
    while rest.startswith("{"):
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:].strip()
    return found


class SkupperCli:
    """Runs skupper with argument lists, never through a shell, and with a closed umask: it writes keys.

    :param run_command: ``module.run_command`` or something of its shape.
    :param executable: path of the command.
    """

    def __init__(self, run_command: RunCommand, executable: str, platform: str, namespace: str) -> None:
        self._run_command = run_command
        self.executable = executable
        self.platform = platform
        self.namespace = namespace
        self._version: list[tuple[int, int, int] | None] = []

    def run(self, args: t.Sequence[str], *, check: bool = True, data: str | None = None) -> Completed:
        """Run ``skupper <args>`` for the namespace; SkupperError with the remedy when it fails."""
        # The command looks for the platform itself, and only where a space is between.
        argv = [self.executable, "--platform", self.platform, "-n", self.namespace, *args]
        return self._call(argv, check, data)

    def _call(self, argv: list[str], check: bool, data: str | None = None) -> Completed:
        rc, stdout, stderr = self._run_command(
            argv,
            data=data.encode("utf-8") if data is not None else None,
            binary_data=True,
            environ_update=_ENVIRON,
            expand_user_and_vars=False,
            umask=0o077,
        )
        done = Completed(rc, stdout, stderr)
        if check and rc != 0:
            raise self.failure(argv, done)
        return done

    def failure(self, argv: t.Sequence[str], done: Completed) -> SkupperError:
        """Return the exception for a failed call."""
        said = done.stdout.strip() or done.stderr.strip() or "no message"
        help_text = remedy(said)
        noun = " ".join(argv[5:7]) if len(argv) > 5 else " ".join(argv[1:])
        message = f"skupper {noun} failed with exit status {done.rc}: {said}"
        if help_text:
            message += f". Remedy: {help_text}"
        error = InvalidValue if done.rc == 2 else SkupperError
        return error(message, cmd=" ".join(argv), rc=done.rc)

    def version(self) -> tuple[int, int, int] | None:
        """Return the version after checking it, None for a build that does not know it."""
        if not self._version:
            done = self._call([self.executable, "version"], check=True)
            found = parse_version(done.stdout or done.stderr)
            check_version(found)
            self._version.append(found)
        return self._version[0]

    def generate(self, args: t.Sequence[str]) -> dict[str, t.Any]:
        """Return the object that ``skupper <noun> generate ...`` renders; nothing is applied."""
        done = self.run([*args, "-o", "json"])
        found = objects(done.stdout)
        if len(found) != 1:
            raise SkupperError(
                f"skupper {' '.join(args[:2])} rendered {len(found)} objects where 1 was expected; "
                f"it said: {done.stdout.strip()[:200]}"
            )
        return found[0]


def find_cli(
    run_command: RunCommand, path: str | None, executable: str, platform: str, namespace: str
) -> SkupperCli:
    """Return the client after a look at the version; MissingPrerequisite when there is no command."""
    if path is None:
        raise MissingPrerequisite(MISSING.format(executable=executable))
    client = SkupperCli(run_command, path, platform, namespace)
    client.version()
    return client
