"""The spans of a trace as text: a tree of names with bars; used by `soundstage trace`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

BAR_CELLS = 32
NAME_CELLS = 44
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def waterfall(trace: dict[str, Any]) -> str:
    """Returns one line a span: name, start, duration and bar."""
    total_ms = max(float(trace["duration_ms"]), 0.001)
    lines = [f"trace {trace['trace_id']}  {len(trace['spans'])} spans  {time_text(total_ms)}"]
    for depth, span in in_order(trace["spans"]):
        name = "  " * depth + str(span["name"])
        name = name if len(name) <= NAME_CELLS else name[: NAME_CELLS - 1] + "…"
        error = f"  {span['attributes'].get('error.type', 'error')}" if span["is_error"] else ""
        start, duration = float(span["start_ms"]), float(span["duration_ms"])
        cells = bar(start, duration, total_ms)
        lines.append(f"{name:<{NAME_CELLS}} {time_text(duration):>8}  |{cells}|{error}".rstrip())
    return "\n".join(lines)


def in_order(spans: Sequence[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields depth and span, each followed by its children by their start."""
    children: dict[str | None, list[dict[str, Any]]] = {}
    for span in spans:
        children.setdefault(span["parent_id"], []).append(span)
    stack = [(0, span) for span in reversed(children.get(None, []))]
    while stack:
        depth, span = stack.pop()
        yield depth, span
        stack += [(depth + 1, child) for child in reversed(children.get(span["span_id"], []))]


def bar(start_ms: float, duration_ms: float, total_ms: float) -> str:
    """Returns the part of the whole that a span takes, at least a mark of one cell."""
    begin = min(int(start_ms / total_ms * BAR_CELLS), BAR_CELLS - 1)
    eighths = max(round(duration_ms / total_ms * BAR_CELLS * 8), 1)
    full, rest = divmod(eighths, 8)
    cells = " " * begin + "█" * full + (_EIGHTHS[rest] if rest else "")
    return f"{cells[:BAR_CELLS]:<{BAR_CELLS}}"


def time_text(ms: float) -> str:
    """`0.8 ms`, `420 ms`, `3.2 s`, `4 min 05 s`."""
    if ms < 10:
        return f"{ms:.1f} ms"
    if ms < 1000:
        return f"{ms:.0f} ms"
    if ms < 60_000:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    return f"{minutes} min {seconds:02d} s"
