"""Filters events by kind and stream, when they are followed, resumed and searched in the database."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, not_, or_

from soundstage.errors import Invalid
from soundstage.events.models import EventRow

MAX_NAMES = 40
_NAME = re.compile(r"-?[A-Za-z0-9_][A-Za-z0-9_.:-]{0,198}\*?")


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Names of kinds and streams. A stream is also named by its first part (`render` is every `render:…`), a
    kind by its beginning (`render.*`). A name after `-` is left out. Empty means all.
    """

    kinds: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()

    @classmethod
    def parse(cls, kinds: Sequence[str], streams: Sequence[str]) -> EventFilter:
        """Read the values of a query, each of which may name several, separated by commas. Raises Invalid
        (`events.bad_filter`).
        """
        return cls(_names(kinds, "kinds"), _names(streams, "streams"))

    def conditions(self) -> list[ColumnElement[bool]]:
        """Returns the SQL conditions."""
        return [
            *_chosen(self.kinds, _matches_kind),
            *_chosen(self.streams, _matches_stream),
        ]


def _names(values: Sequence[str], what: str) -> tuple[str, ...]:
    found = tuple(name for one in values for part in one.split(",") if (name := part.strip()))
    bad = next((name for name in found if _NAME.fullmatch(name) is None), None)
    if bad is not None or len(found) > MAX_NAMES:
        problem = f"{bad!r} is no name" if bad is not None else f"it has {len(found)} names"
        raise Invalid(
            "events.bad_filter",
            f"The filter `{what}` cannot be used: {problem}.",
            f"Send at most {MAX_NAMES} names, separated by commas; `-` before a name leaves it out.",
        )
    return found


def _chosen(names: Sequence[str], matches: Callable[[str], ColumnElement[bool]]) -> list[ColumnElement[bool]]:
    included = [matches(name) for name in names if not name.startswith("-")]
    left_out = [matches(name[1:]) for name in names if name.startswith("-")]
    chosen = [or_(*included)] if included else []
    return [*chosen, not_(or_(*left_out))] if left_out else chosen


def _matches_kind(name: str) -> ColumnElement[bool]:
    if name.endswith("*"):
        return EventRow.kind.startswith(name[:-1], autoescape=True)
    return EventRow.kind == name


def _matches_stream(name: str) -> ColumnElement[bool]:
    if name.endswith("*"):
        return EventRow.stream.startswith(name[:-1], autoescape=True)
    return or_(EventRow.stream == name, EventRow.stream.startswith(f"{name}:", autoescape=True))
