"""Which statements SQLite runs in the event loop itself: those that are over before a thread has woken."""

from __future__ import annotations

import re
from enum import Enum, auto

BRIEF_S = 0.002
"""A query that takes longer is broken off and asked again on the thread, from then on at once."""
MOST_VALUES = 128
MOST_ROWS = 16
_REMEMBERED = 4000

# Not `INSERT … SELECT`, which may take as long as it likes.
_ONE_ROW = re.compile(r"INSERT INTO \S+ \([^)]*\) VALUES \((?!.*\bSELECT\b)", re.DOTALL)


class Way(Enum):
    """How a statement is run."""

    THREAD = auto()
    """It may take long and cannot be broken off: a change to many rows, or one that is not known here."""
    BEGIN = auto()
    QUERY = auto()
    INSERT = auto()


class Ways:
    """What is known of the statements of one database; its connections share it."""

    def __init__(self) -> None:
        self._known: dict[str, Way] = {}

    def of(self, sql: str, values: int) -> Way:
        """The way of a statement with so many bound values."""
        way = self._known.get(sql)
        if way is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            way = self._known[sql] = _way(sql)
        return Way.THREAD if way is Way.INSERT and values > MOST_VALUES else way

    def was_slow(self, sql: str) -> None:
        """From now on it goes to the thread."""
        self._known[sql] = Way.THREAD


def _way(sql: str) -> Way:
    if sql.startswith("SELECT "):
        return Way.QUERY
    if sql in ("BEGIN", "BEGIN IMMEDIATE"):
        return Way.BEGIN
    return Way.INSERT if _ONE_ROW.match(sql) else Way.THREAD
