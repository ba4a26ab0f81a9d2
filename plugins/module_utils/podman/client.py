# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""The one place of this collection that calls the podman command.

Nothing here imports Ansible: a module hands in ``module.run_command``, a test or a script
:func:`subprocess_run_command`, which has the same signature and result.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import typing as t

#: ``(argv, data=bytes|None, binary_data=True, environ_update=dict|None, ...) -> (rc, stdout, stderr)``
RunCommand = t.Callable[..., tuple[int, str, str]]

#: What :meth:`PodmanClient.inspect` knows.
KINDS = ("container", "image", "network", "secret", "volume")

#: Exit status of coreutils ``timeout`` when the limit was reached (137 when it had to kill).
_TIMED_OUT = (124, 137)

#: The label that marks everything this collection makes.
MANAGED_LABEL = "io.private-ai.chatbot"
MANAGED_VALUE = "managed"

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


class Completed(t.NamedTuple):
    """What a finished command left: exit status and decoded output."""

    rc: int
    stdout: str
    stderr: str


class PodmanError(Exception):
    """A podman command failed; carries the whole evidence for the user.

    ``cmd`` is the argument list, ``rc`` is None when the command could not be judged by its status.
    """

    def __init__(
        self,
        message: str,
        cmd: t.Sequence[str] = (),
        rc: int | None = None,
        stdout: str = "",
        stderr: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.cmd = list(cmd)
        self.rc = rc
        self.stdout = stdout
        self.stderr = stderr

    def __str__(self) -> str:
        """Return the message, with what was added to it on the way."""
        return self.message

    def as_result(self) -> dict[str, t.Any]:
        """Return keyword arguments for ``module.fail_json(**error.as_result())``."""
        return {
            "msg": self.message,
            "cmd": " ".join(shlex.quote(part) for part in self.cmd),
            "rc": self.rc,
            "stdout": self.stdout,
            "stderr": self.stderr,
        }


def last_lines(text: str, count: int = 5) -> str:
    """Return the last ``count`` lines of ``text`` that are not empty."""
    lines = [line for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-count:])


def subprocess_run_command(
    argv: t.Sequence[str],
    data: bytes | None = None,
    binary_data: bool = True,
    environ_update: t.Mapping[str, str] | None = None,
    **_ignored: t.Any,
) -> tuple[int, str, str]:
    """Do what ``AnsibleModule.run_command`` does, for tests and scripts without Ansible."""
    environ = dict(os.environ, LC_ALL="C", **(environ_update or {}))
    done = subprocess.run(list(argv), input=data, capture_output=True, env=environ, check=False)
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


def parse_version(text: str) -> tuple[int, int, int]:
    """Return ``(major, minor, patch)`` of the first version number in ``text``, or raise ValueError."""
    found = _VERSION.search(text)
    if not found:
        raise ValueError(f"no version number in {text!r}")
    return int(found.group(1)), int(found.group(2)), int(found.group(3) or 0)


class PodmanClient:
    """Runs podman with argument lists, never through a shell.

    :param run_command: ``module.run_command`` or something of its shape.
    :param executable: name or path of podman.
    :param runtime: OCI runtime given to every call as ``--runtime``; None leaves podman's default.
    :param global_args: more arguments before the sub-command (a test may use ``--root``).
    :param environ: variables added to the environment of every call.
    """

    def __init__(
        self,
        run_command: RunCommand,
        executable: str = "podman",
        runtime: str | None = None,
        global_args: t.Sequence[str] = (),
        environ: t.Mapping[str, str] | None = None,
    ) -> None:
        self._run_command = run_command
        self.executable = executable
        self.runtime = runtime
        self.global_args = list(global_args)
        # Podman 5 warns about cgroup v1 on every call, which would hide the message that matters.
        self._environ = {"PODMAN_IGNORE_CGROUPSV1_WARNING": "1", **(environ or {})}
        self._version: tuple[int, int, int] | None = None

    def argv(self, args: t.Sequence[str]) -> list[str]:
        """Return the complete argument list for ``args``."""
        runtime = ["--runtime", self.runtime] if self.runtime else []
        return [self.executable, *self.global_args, *runtime, *args]

    def run(
        self,
        args: t.Sequence[str],
        *,
        check: bool = True,
        data: str | bytes | None = None,
        environ: t.Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Completed:
        """Run ``podman <args>``.

        :param check: raise :class:`PodmanError` when the exit status is not 0.
        :param data: standard input, passed as it is (the way secrets travel, never as an argument).
        :param environ: variables added to the environment.
        :param timeout: seconds after which the command is ended with PodmanError, also without ``check``.
        """
        argv = self.argv(args)
        full = argv
        if timeout is not None:
            # run_command has no limit of its own; coreutils' timeout is on every host podman runs on.
            full = ["timeout", "--kill-after=5", str(timeout), *argv]
        rc, stdout, stderr = self._run_command(
            full,
            data=data.encode("utf-8") if isinstance(data, str) else data,
            binary_data=True,
            environ_update={**self._environ, **(environ or {})},
            expand_user_and_vars=False,
        )
        if timeout is not None and rc in _TIMED_OUT:
            raise PodmanError(
                f"podman {' '.join(args[:2])} did not end within {timeout:g} s", argv, rc, stdout, stderr
            )
        if check and rc != 0:
            reason = last_lines(stderr) or last_lines(stdout) or "no message"
            raise PodmanError(
                f"podman {' '.join(args[:2])} failed with exit status {rc}: {reason}",
                argv,
                rc,
                stdout,
                stderr,
            )
        return Completed(rc, stdout, stderr)

    def run_json(
        self,
        args: t.Sequence[str],
        *,
        data: str | bytes | None = None,
        environ: t.Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> t.Any:
        """Run ``podman <args>`` and return its output, parsed; PodmanError also when it is not JSON."""
        done = self.run(args, data=data, environ=environ, timeout=timeout)
        try:
            return json.loads(done.stdout)
        except ValueError as error:
            raise PodmanError(
                f"the output of podman {' '.join(args[:2])} is not JSON: {error}",
                self.argv(args),
                done.rc,
                done.stdout,
                done.stderr,
            ) from error

    def inspect(self, kind: str, name: str) -> dict[str, t.Any] | None:
        """Return podman's description of one object, None when it does not exist.

        :param kind: one of :data:`KINDS`.
        """
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
        args = [kind, "inspect", name]
        done = self.run(args, check=False)
        if done.rc == 0:
            try:
                found = json.loads(done.stdout)
            except ValueError as error:
                raise PodmanError(
                    f"the output of podman {kind} inspect is not JSON: {error}",
                    self.argv(args),
                    done.rc,
                    done.stdout,
                    done.stderr,
                ) from error
            return found[0] if found else None
        if self._is_absent(kind, name, done):
            return None
        raise PodmanError(
            f"podman {kind} inspect {name} failed with exit status {done.rc}: {last_lines(done.stderr)}",
            self.argv(args),
            done.rc,
            done.stdout,
            done.stderr,
        )

    def _is_absent(self, kind: str, name: str, failed: Completed) -> bool:
        # "inspect" fails with the same status for "absent" and "broken". Its message is asked first, because
        # a container that systemd is just making again may exist a moment later.
        if f"no such {kind}" in failed.stderr.lower():
            return True
        # Secrets have no "exists" before Podman 4.5.
        if kind == "secret":
            return "no secret with name or id" in failed.stderr
        return self.run([kind, "exists", name], check=False).rc == 1

    def exists(self, kind: str, name: str) -> bool:
        """Return whether the object exists."""
        return self.inspect(kind, name) is not None

    def version(self) -> tuple[int, int, int]:
        """Return podman's version as ``(major, minor, patch)``; asked once per client."""
        if self._version is None:
            args = ["version", "--format", "{{.Client.Version}}"]
            done = self.run(args)
            try:
                self._version = parse_version(done.stdout)
            except ValueError as error:
                raise PodmanError(
                    f"podman does not tell its version: {error}",
                    self.argv(args),
                    done.rc,
                    done.stdout,
                    done.stderr,
                ) from error
        return self._version

    def logs(self, name: str, lines: int = 20) -> str:
        """Return the last lines a container wrote (both streams); empty when there is none."""
        done = self.run(["logs", "--tail", str(lines), name], check=False)
        return (done.stdout + done.stderr).strip() if done.rc == 0 else ""
