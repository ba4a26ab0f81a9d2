"""Commands and their flags as Cobra and pflag read and explain them, which the program is built with."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from ..model import durations
from .errors import UsageError

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


@dataclass(frozen=True)
class Flag:
    """A flag: its type (string, bool, int, duration), default and description."""

    name: str
    default: Any = ""
    about: str = ""
    short: str = ""
    kind: str = "string"

    def read(self, text: str) -> Any:
        """Its value."""
        try:
            if self.kind == "bool":
                if text not in _TRUE + _FALSE:
                    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')
                return text in _TRUE
            if self.kind == "int":
                if not re.fullmatch(r"[+-]?[0-9]+", text):
                    raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax')
                return int(text)
            return durations.parse(text) if self.kind == "duration" else text
        except ValueError as error:
            shown = f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"
            raise UsageError(f'invalid argument "{text}" for "{shown}" flag: {error}') from error

    def explained(self) -> tuple[str, str]:
        """(left, right) of its line in a usage text."""
        left = f"  -{self.short}, --{self.name}" if self.short else f"      --{self.name}"
        if self.kind != "bool":
            left += f" {self.kind}"
        if not self.default:
            return left, self.about
        shown = f'"{self.default}"' if self.kind == "string" else str(self.default).lower()
        if self.kind == "duration":
            shown = durations.show(self.default)
        return left, f"{self.about} (default {shown})"


@dataclass
class Call:
    """What a command line asks for."""

    platform: str
    configured: str
    args: list[str]
    values: dict[str, Any]
    changed: set[str]

    def __getitem__(self, flag: str) -> Any:
        return self.values[flag]

    @property
    def namespace(self) -> str:
        """The namespace that was named, if any."""
        return str(self.values["namespace"])


@dataclass
class Command:
    """A command or, when it has others below it, a group of them."""

    use: str
    short: str
    long: str = ""
    example: str = ""
    flags: list[Flag] = field(default_factory=list)
    children: list[Command] = field(default_factory=list)
    # What runs it, as module:function, with a kind of resource where one function is for several.
    kube: str = ""
    local: str = ""
    hidden: bool = False
    # Group and its global flags are known when the tree is made.
    parent: Command | None = None
    inherited: list[Flag] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The word that calls it."""
        return self.use.split()[0]

    @property
    def path(self) -> str:
        """All words that call it."""
        return f"{self.parent.path} {self.name}" if self.parent else self.name

    def all_flags(self) -> list[Flag]:
        """Its own flags, those of all commands, and help."""
        return [*self.flags, *self.inherited, Flag("help", False, f"help for {self.name}", "h", "bool")]

    def usage(self) -> str:
        """How it is used."""
        runnable = bool(self.kube)
        text = "Usage:"
        if runnable:
            text += f"\n  {self.parent.path} {self.use} [flags]" if self.parent else ""
        if self.children:
            text += f"\n  {self.path} [command]"
        if self.example:
            text += f"\n\nExamples:\n{self.example}"
        if self.children:
            shown = sorted((one for one in self.children if not one.hidden), key=lambda one: one.name)
            width = max(11, *(len(one.name) for one in self.children))
            text += "\n\nAvailable Commands:"
            text += "".join(f"\n  {one.name:<{width}} {one.short}" for one in shown)
        own = [Flag("help", False, f"help for {self.name}", "h", "bool"), *self.flags]
        # Of the first command, the flags of all commands are its own.
        text += "\n\nFlags:\n" + _flags(own if self.parent else own + self.inherited)
        if self.parent and self.inherited:
            text += "\n\nGlobal Flags:\n" + _flags(self.inherited)
        if self.children:
            text += f'\n\nUse "{self.path} [command] --help" for more information about a command.'
        return text + "\n"

    def help(self) -> str:
        """What `--help` prints."""
        return f"{(self.long or self.short).rstrip()}\n\n{self.usage()}"


def _flags(flags: list[Flag]) -> str:
    lines = [flag.explained() for flag in sorted(flags, key=lambda flag: flag.name)]
    width = max(len(left) for left, _ in lines) + 3
    indent = "\n" + " " * width
    return "\n".join(f"{left:<{width}}{right}".replace("\n", indent).rstrip() for left, right in lines)


def find(root: Command, argv: list[str]) -> tuple[Command, list[str]]:
    """The command that a line names, and the line without its words."""
    command, rest = root, list(argv)
    while command.children:
        at = _next_word(command, rest)
        word = rest[at] if at is not None else None
        child = next((one for one in command.children if one.name == word), None)
        if child is None or at is None:
            if word is not None and command is root:
                raise UsageError(f'unknown command "{word}" for "{root.name}"')
            return command, rest
        del rest[at]
        command = child
    return command, rest


def _next_word(command: Command, argv: list[str]) -> int | None:
    """The first word that is not a flag or a flag's value; an unknown flag is taken to have one."""
    at = 0
    while at < len(argv):
        word = argv[at]
        if word == "--":
            return None
        if not word.startswith("-") or word == "-":
            return at
        known = next((f for f in command.all_flags() if word in (f"--{f.name}", f"-{f.short}")), None)
        alone = "=" in word or (known is not None and known.kind == "bool")
        # A short flag with its value in one word.
        alone = alone or (not word.startswith("--") and len(word) > 2)
        at += 1 if alone else 2
    return None


def parse(command: Command, argv: list[str]) -> tuple[list[str], dict[str, Any], set[str]]:
    """(arguments, values of all flags, names of those that were given)."""
    flags = command.all_flags()
    values = {flag.name: flag.default for flag in flags}
    args: list[str] = []
    changed: set[str] = set()
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            args += rest
            break
        if not word.startswith("-") or word == "-":
            args.append(word)
            continue
        flag, text = _read(flags, word, rest)
        values[flag.name] = flag.read(text)
        changed.add(flag.name)
    return args, values, changed


def _read(flags: list[Flag], word: str, rest: list[str]) -> tuple[Flag, str]:
    """The flag of a word and its value, which may be the next word."""
    if word.startswith("--"):
        name, equals, text = word[2:].partition("=")
        flag = next((one for one in flags if one.name == name), None)
        shown = f"--{name}"
        if flag is None:
            raise UsageError(f"unknown flag: {shown}")
    else:
        name, text = word[1], word[2:]
        equals = text[:1]
        text = text.removeprefix("=")
        flag = next((one for one in flags if one.short == name), None)
        shown = f"'{name}' in {word}"
        if flag is None:
            raise UsageError(f"unknown shorthand flag: {shown}")
    if equals:
        return flag, text
    if flag.kind == "bool":
        return flag, "true"
    if not rest:
        raise UsageError(f"flag needs an argument: {shown}")
    return flag, rest.pop(0)
