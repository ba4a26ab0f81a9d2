"""Durations as Go reads and writes them: `1m30s`."""

from __future__ import annotations

import re

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]*\.?[0-9]*)([^0-9.]*)")


def parse(text: str) -> float:
    """Seconds; what is wrong is a ValueError in Go's words."""
    sign, rest = (-1.0, text[1:]) if text[:1] == "-" else (1.0, text.removeprefix("+"))
    if rest == "0":
        return 0.0
    total = 0.0
    if not rest:
        raise ValueError(f'time: invalid duration "{text}"')
    while rest:
        match = _PART.match(rest)
        number, unit = match.groups() if match else ("", "")
        if number in ("", "."):
            raise ValueError(f'time: invalid duration "{text}"')
        if not unit:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit not in _UNITS:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
        total += float(number) * _UNITS[unit]
        rest = rest[len(number) + len(unit) :]
    return sign * total


def show(seconds: float) -> str:
    """As Go prints it: `1m0s`, `1.5s`, `300ms`."""
    if seconds == 0:
        return "0s"
    if abs(seconds) < 1:
        return f"{seconds * 1000:g}ms"
    sign, left = ("-", -seconds) if seconds < 0 else ("", seconds)
    hours, left = divmod(left, 3600)
    minutes, left = divmod(left, 60)
    text = f"{left:g}s"
    if hours:
        return f"{sign}{hours:g}h{minutes:g}m{text}"
    return f"{sign}{minutes:g}m{text}" if minutes else sign + text
