"""The program's checks of values: None, or why a value is not valid, in its words."""

from __future__ import annotations

import re

from ..model import durations
from ..model.site_state import HOST, NAME, is_address

RESOURCE = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])*(\.[a-z0-9]([-a-z0-9]*[a-z0-9])*)*$")
SELECTOR = re.compile(r"^[A-Za-z0-9=:./-]+$")
FILE = re.compile(r"^[A-Za-z0-9./~-]+$")
WORKLOAD = re.compile(r"^[A-Za-z0-9._-]+$")
WORKLOADS = ("deployment", "service", "daemonset", "statefulset")
LINK_ACCESS = ("route", "loadbalancer", "default")
OUTPUTS = ("json", "yaml")
TYPES = ("tcp",)
WAITS = ("ready", "configured", "none")


def _pattern(pattern: re.Pattern[str], value: str) -> str | None:
    # Python's $ also matches before a last line's end.
    if pattern.match(value) and not value.endswith("\n"):
        return None
    return f"value does not match this regular expression: {pattern.pattern}"


def name(value: str) -> str | None:
    """The name of a resource, a routing key, the name of credentials."""
    return _pattern(RESOURCE, value)


def namespace(value: str) -> str | None:
    """A namespace."""
    return _pattern(NAME, value)


def selector(value: str) -> str | None:
    """A selector: one label only."""
    return _pattern(SELECTOR, value)


def file_name(value: str) -> str | None:
    """The path of a token's file."""
    return _pattern(FILE, value)


def host(value: str) -> str | None:
    """A host name or an IP address."""
    return None if HOST.match(value) or is_address(value) else "a valid IP address or hostname is expected"


def option(value: str, allowed: tuple[str, ...]) -> str | None:
    """One of some words."""
    if value in allowed:
        return None
    return f"value {value} not allowed. It should be one of this options: [{' '.join(allowed)}]"


def integer(value: str) -> tuple[int, str | None]:
    """A number as Go reads it: (number, error)."""
    if not re.fullmatch(r"[+-]?[0-9]+", value):
        return 0, f'strconv.Atoi: parsing "{value}": invalid syntax'
    number = int(value)
    if not -(1 << 63) <= number < 1 << 63:
        limit = (1 << 63) - 1 if number > 0 else -(1 << 63)
        return limit, f'strconv.Atoi: parsing "{value}": value out of range'
    return number, None


def positive(value: int) -> str | None:
    """Zero is positive here, and there is no upper bound."""
    return "value is not positive" if value < 0 else None


def at_least(seconds: float, minimum: float) -> str | None:
    """A duration."""
    if seconds >= minimum:
        return None
    return f"duration must not be less than {durations.show(minimum)}; got {durations.show(seconds)}"


def workload(value: str) -> tuple[str, str, str | None]:
    """`deployment/x`: (type, name, error)."""
    parts = value.split("/")
    if len(parts) != 2:
        return "", "", "workload must include <resource-type>/<resource-name>"
    if error := _pattern(WORKLOAD, parts[1]):
        return "", "", error
    if parts[0].lower() not in WORKLOADS:
        allowed = "/".join(WORKLOADS)
        return "", "", f"resource-type does not match expected value: {allowed}"
    return parts[0].lower(), parts[1], None
