"""Lays blocks out as lines for a terminal, and words lists, durations and logs; used by all tools."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import assert_never

from agent.presentation.blocks import MAX_ROWS, Block, Id, Inline, Items, Link, Paragraph, StateLabel, Table
from soundstage.one_line import harmless, shorten
from soundstage.telemetry import mask_text

NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve"),
)
"""As people say and read them, from 0 on."""
_CELL = 90
_LINE = 400


def as_text(blocks: Iterable[Block]) -> str:
    """Returns what a terminal prints: paragraphs as they are, tables in columns, ids where the page links."""
    return "\n".join(line for block in blocks for line in _lines(block))


def aligned(rows: Iterable[Sequence[str]], *, maximum: int = MAX_ROWS, more: int = 0) -> list[str]:
    """Returns one line per row; what is more than `maximum` is counted in a last one, with `more`. Columns
    that are empty in all rows are left out.
    """
    cells = [[_cell(cell) for cell in row] for row in rows]
    shown, more = cells[:maximum], more + max(0, len(cells) - maximum)
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    lines = []
    for row in shown:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width]
        lines.append("  " + "  ".join(padded).rstrip())
    return [*lines, f"  and {more} more"] if more else lines


def last_lines(text: str, maximum: int) -> str:
    """Returns the last lines of a log, harmless, without keys and passwords, each cut to what people read."""
    lines = mask_text(harmless(text)).splitlines()[-maximum:]
    return "\n".join(shorten(line, _LINE) for line in lines)


def join_names(names: Sequence[str], maximum: int = 5) -> str:
    """Returns `a`, `a and b`, `a, b and 3 more`."""
    if len(names) > maximum:
        return f"{', '.join(names[:maximum])} and {len(names) - maximum} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"


def name_hint(name: str, names: Sequence[str]) -> str:
    """Returns the nearest of the names as a question, or else which there are."""
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    return f"Did you mean {near[0]}?" if near else f"There are: {', '.join(names[:20]) or 'none'}."


def duration(seconds: float) -> str:
    """Returns `45 s`, `12 minutes`, `3 hours`, `2 days`."""
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def count(number: int, noun: str) -> str:
    """Returns `1 machine`, `3 machines`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _lines(block: Block) -> list[str]:
    match block:
        case Paragraph():
            return ["".join(map(_text, block.content))]
        case Table():
            rows = [[_text(cell) for cell in row] for row in block.rows]
            return aligned(rows, maximum=len(rows), more=block.more)
        case Items():
            mark = f"{block.mark} " if block.mark else ""
            return [f"  {mark}{''.join(map(_text, row))}" for row in block.rows]
    return [block.text]


def _text(part: Inline) -> str:
    match part:
        case str():
            return part
        case StateLabel():
            return part.text or part.state
        case Link() | Id():
            return part.text
    assert_never(part)


def _cell(text: str) -> str:
    """Returns one line: words of machines may hold line breaks."""
    return shorten(" ".join(harmless(text).split()), _CELL)
