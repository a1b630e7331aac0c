"""Which statements SQLite runs in the event loop itself: those that are over before a thread has woken."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from enum import Enum, auto

BRIEF_S = 0.002
"""A query that takes longer is broken off and asked again on the thread, from then on at once."""
MOST_VALUES = 128
MOST_ROWS = 16
_REMEMBERED = 4000

# Not `INSERT … SELECT`, which may take as long as it likes, and of changes only those to one primary key.
_ONE_ROW = re.compile(r"INSERT INTO \S+ \([^)]*\) VALUES \((?!.*\bSELECT\b)", re.DOTALL)
_CHANGE = re.compile(r"UPDATE (\w+) SET (?!.*\b(?:SELECT|OR)\b).* WHERE (.*?)(?: RETURNING .*)?", re.DOTALL)
_EQUAL = re.compile(r"(?:\w+\.)?(\w+) = \?")

KeyOf = Callable[[str], Collection[str]]
"""The columns of the primary key of a table; none for one that is not known."""


class Way(Enum):
    """How a statement is run."""

    THREAD = auto()
    """It may take long and cannot be broken off: a change to many rows, or one that is not known here."""
    BEGIN = auto()
    QUERY = auto()
    ROW = auto()
    """One row that is put in or changed."""


class Ways:
    """What is known of the statements of one database; its connections share it."""

    def __init__(self, key_of: KeyOf = lambda table: ()) -> None:
        self._known: dict[str, Way] = {}
        self._key_of = key_of

    def of(self, sql: str, values: int) -> Way:
        """The way of a statement with so many bound values."""
        way = self._known.get(sql)
        if way is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            way = self._known[sql] = _way(sql, self._key_of)
        return Way.THREAD if way is Way.ROW and values > MOST_VALUES else way

    def was_slow(self, sql: str) -> None:
        """From now on it goes to the thread."""
        self._known[sql] = Way.THREAD


def _way(sql: str, key_of: KeyOf) -> Way:
    if sql.startswith("SELECT "):
        return Way.QUERY
    if sql in ("BEGIN", "BEGIN IMMEDIATE"):
        return Way.BEGIN
    return Way.ROW if _ONE_ROW.match(sql) or _changes_one_row(sql, key_of) else Way.THREAD


def _changes_one_row(sql: str, key_of: KeyOf) -> bool:
    """Whether each column of the table's primary key has to have one value."""
    if (change := _CHANGE.fullmatch(sql)) is None:
        return False
    table, where = change.groups()
    bound = {found[1] for term in where.split(" AND ") if (found := _EQUAL.fullmatch(term.strip()))}
    return bool(key := key_of(table)) and bound.issuperset(key)
