"""Rows of words as aligned lines, for the sentences of tools that list many things."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from soundstage.one_line import harmless
from soundstage.telemetry import mask_text

MOST_LINES = 40
_CELL = 90
_LINE = 400


def aligned(rows: Iterable[Sequence[str]], indent: str = "  ") -> list[str]:
    """One line per row; what is more than `MOST_LINES` is counted in a last one. Columns that are empty in
    all rows are left out.
    """
    table = [[_cell(cell) for cell in row] for row in rows]
    shown = table[:MOST_LINES]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    lines = []
    for row in shown:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width]
        lines.append(indent + "  ".join(cells).rstrip())
    if len(table) > len(shown):
        lines.append(f"{indent}and {len(table) - len(shown)} more")
    return lines


def _cell(text: str) -> str:
    """One line: words of machines may hold line breaks."""
    text = " ".join(harmless(text).split())
    return text if len(text) <= _CELL else f"{text[: _CELL - 1]}…"


def last_lines(text: str, most: int) -> str:
    """The last lines of a log, harmless, without keys and passwords, and each cut to what people read."""
    lines = mask_text(harmless(text)).splitlines()[-most:]
    return "\n".join(line if len(line) <= _LINE else f"{line[: _LINE - 1]}…" for line in lines)


def listed(names: Sequence[str], most: int = 5) -> str:
    """`a`, `a and b`, `a, b and 3 more`."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"


def lasting(seconds: float) -> str:
    """`45 s`, `12 minutes`, `3 hours`, `2 days`."""
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
