"""The stand-in's entry: which command, on which platform, and how it ends."""

from __future__ import annotations

import importlib
import os
import sys

from .command import Call, Command, find, parse
from .errors import Failed, UsageError
from .tree import PLATFORMS, root


def configured_platform(argv: list[str]) -> str:
    """As the program looks for it before it reads its flags: `-pX` is not seen, unknown is kubernetes."""
    found = ""
    for at, word in enumerate(argv):
        if word in ("--platform", "-p") and at + 1 < len(argv):
            found = argv[at + 1]
            break
        if word.startswith(("--platform=", "-p=")):
            found = word.split("=")[1]
            break
    found = found or os.environ.get("SKUPPER_PLATFORM", "")
    return found if found in PLATFORMS else "kubernetes"


def _usage(command: Command, error: UsageError) -> int:
    sys.stderr.write(f"Error: {error}\n{command.usage()}\n")
    print(error)
    return 1


def main(argv: list[str]) -> int:
    """Run a command line; the exit status."""
    configured = configured_platform(argv)
    top = root(configured)
    try:
        command, rest = find(top, argv)
    except UsageError as error:
        sys.stderr.write(f"Error: {error}\nRun 'skupper --help' for usage.\n")
        print(error)
        return 1
    try:
        args, values, changed = parse(command, rest)
        if values["help"] or not command.kube:
            print(command.help(), end="")
            return 0
        platform = values["platform"] or configured
        if platform not in PLATFORMS:
            raise UsageError(f'platform "{platform}" not supported')
    except UsageError as error:
        return _usage(command, error)
    try:
        run = command.kube if platform == "kubernetes" else command.local
        module, function, *kind = run.split(":")
        # Only what this command needs is loaded: the program is called often, and is quick.
        found = getattr(importlib.import_module(f".{module}", __package__), function)
        found(*kind, Call(platform, configured, args, values, changed))
    except Failed as error:
        print(error)
        return error.status
    return 0
