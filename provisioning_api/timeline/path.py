"""The critical path through spans: pure functions, called by the service."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel


class Span(BaseModel):
    """`seconds` is the length; `critical` says whether a shorter one would have made the whole shorter."""

    name: str
    source: str
    started_at: datetime
    ended_at: datetime
    seconds: float
    critical: bool = False


def span_of(name: str, source: str, started_at: datetime, ended_at: datetime) -> Span:
    """A span; what would end before it begins is a point."""
    ended_at = max(started_at, ended_at)
    seconds = round((ended_at - started_at).total_seconds(), 3)
    return Span(name=name, source=source, started_at=started_at, ended_at=ended_at, seconds=seconds)


def with_critical_path(spans: Sequence[Span]) -> list[Span]:
    """The spans by their beginning, those of the critical path marked.

    Backwards from the end: what ended last was waited for; before it, what ended last before that one began.
    What runs beside a longer span is not on the path.
    """
    ordered = sorted(spans, key=lambda span: (span.started_at, span.ended_at))
    critical: set[int] = set()
    last = max(range(len(ordered)), key=lambda at: ordered[at].ended_at, default=None)
    while last is not None:
        critical.add(last)
        begin = ordered[last].started_at
        before = [at for at in range(len(ordered)) if at not in critical and ordered[at].ended_at <= begin]
        last = max(before, key=lambda at: (ordered[at].ended_at, ordered[at].seconds), default=None)
    return [span.model_copy(update={"critical": at in critical}) for at, span in enumerate(ordered)]
