"""Tables as Go's text/tabwriter pads them: with tabs, to multiples of eight."""

from __future__ import annotations

TAB = 8


def _pad(text: str, width: int) -> str:
    full = -(-width // TAB) * TAB
    return text + "\t" * -(-(full - len(text)) // TAB)


def _format(lines: list[list[str]], widths: list[int], minimum: int, out: list[str]) -> None:
    """A column is a block of lines that follow each other and have a cell there which is not their last."""
    column, start, at = len(widths), 0, 0
    while at < len(lines):
        if column >= len(lines[at]) - 1:
            at += 1
            continue
        _write(lines[start:at], widths, out)
        start, width = at, minimum
        while at < len(lines) and column < len(lines[at]) - 1:
            width = max(width, len(lines[at][column]) + 1)
            at += 1
        _format(lines[start:at], [*widths, width], minimum, out)
        start = at
    _write(lines[start:], widths, out)


def _write(lines: list[list[str]], widths: list[int], out: list[str]) -> None:
    for line in lines:
        padded = [_pad(cell, widths[at]) if at < len(widths) else cell for at, cell in enumerate(line)]
        out.append("".join(padded))


def table(rows: list[list[str]], minimum: int = 0) -> str:
    """The rows as lines, each with its end."""
    out: list[str] = []
    _format(rows, [], minimum, out)
    return "".join(f"{line}\n" for line in out)
