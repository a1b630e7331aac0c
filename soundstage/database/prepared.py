"""Statements that are asked with every sentence: put together once, and run without asking SQLAlchemy again.

Running one costs SQLite a few microseconds and SQLAlchemy forty; its session, connection and transaction
around it cost three hundred.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect, Insert, Update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.selectable import ReturnsRows
from sqlalchemy.types import TypeEngine

from soundstage.database.one_trip import OneTripConnection

Parameters = Mapping[str, Any]
NO_VALUES: Parameters = {}
_Way = Callable[[Any], Any]


class Prepared:
    """A statement of tables (not of classes of the ORM) with named values, made at import.

    The tenant is not looked after: it has to be among the conditions of the statement.
    """

    def __init__(self, statement: Executable) -> None:
        self.statement = statement
        # Few: a statement is asked with the same names each time.
        self._made: dict[tuple[str, tuple[str, ...], bool], _Made] = {}

    async def rows(
        self, session: Writing, parameters: Parameters | Sequence[Parameters] = NO_VALUES
    ) -> Sequence[Sequence[Any]]:
        """What the statement gives back, in a transaction of whichever kind; with several sets of values it
        is run for each, and gives nothing.
        """
        if isinstance(session, Brief):
            return await session.run(self, parameters)
        if not parameters and parameters is not NO_VALUES:
            return ()
        result: Any = await session.execute(self.statement, parameters or None)
        return result.all() if result.returns_rows else ()

    async def first(self, session: Writing, parameters: Parameters = NO_VALUES) -> Sequence[Any] | None:
        """The first row; None without one."""
        rows = await self.rows(session, parameters)
        return rows[0] if rows else None

    def made(self, dialect: Dialect, names: tuple[str, ...], *, many: bool) -> _Made:
        """The text for a database, and how values go in and come out."""
        key = (dialect.name, names, many)
        if (made := self._made.get(key)) is None:
            made = self._made[key] = _make(self.statement, dialect, names, many)
        return made


class Brief:
    """A transaction of prepared statements alone, on a connection of SQLite; `Database.brief()` gives it."""

    def __init__(self, connection: OneTripConnection, dialect: Dialect) -> None:
        self._connection = connection
        self._dialect = dialect
        self.info: dict[str, Any] = {}
        """As that of a session: notes about this transaction."""

    async def run(
        self, prepared: Prepared, parameters: Parameters | Sequence[Parameters]
    ) -> Sequence[Sequence[Any]]:
        """As `Prepared.rows`. Raises `DBAPIError`."""
        many = not isinstance(parameters, Mapping)
        sets = parameters if isinstance(parameters, Sequence) else (parameters,)
        if not sets:
            return ()
        made = prepared.made(self._dialect, tuple(sets[0]), many=many)
        cursor = self._connection.cursor()
        with explained(made.text):
            if many:
                await cursor.executemany(made.text, [made.values(one) for one in sets])
                return ()
            await cursor.execute(made.text, made.values(sets[0]))
            return made.rows(await cursor.fetchall())


Writing = AsyncSession | Brief
"""Where a transaction is open: both kinds take prepared statements."""


@dataclass(frozen=True, slots=True)
class _Made:
    text: str
    names: tuple[str, ...]
    fixed: Parameters
    """Values that stand in the statement itself."""
    going_in: tuple[_Way | None, ...]
    coming_out: tuple[_Way | None, ...]

    def values(self, given: Parameters) -> list[Any]:
        """In the order of their places."""
        return [
            _through(way, given[name] if name in given else self.fixed[name])
            for name, way in zip(self.names, self.going_in, strict=True)
        ]

    def rows(self, found: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
        if not any(self.coming_out):
            return found
        return [
            [_through(way, value) for way, value in zip(self.coming_out, row, strict=True)] for row in found
        ]


@contextmanager
def explained(text: str) -> Iterator[None]:
    """What the driver raises, as SQLAlchemy would raise it."""
    try:
        yield
    except sqlite3.Error as error:
        raise DBAPIError.instance(text, None, error, sqlite3.Error) from error


def _through(way: _Way | None, value: Any) -> Any:
    return value if way is None else way(value)


def _make(statement: Executable, dialect: Dialect, names: Sequence[str], many: bool) -> _Made:
    """Raises TypeError for a column with a default of Python's that is not among the names."""
    _refuse_defaults(statement, names)
    compiled: SQLCompiler = statement.compile(  # type: ignore[attr-defined]
        dialect=dialect, column_keys=list(names), for_executemany=many
    )
    places = tuple(compiled.positiontup or ())
    going_in = [compiled.binds[name].type.dialect_impl(dialect) for name in places]
    coming_out = [kind.dialect_impl(dialect) for kind in _given_back(statement)]
    return _Made(
        text=compiled.string,
        names=places,
        fixed={name: compiled.binds[name].effective_value for name in places if name not in names},
        going_in=tuple(kind.bind_processor(dialect) for kind in going_in),
        coming_out=tuple(kind.result_processor(dialect, None) for kind in coming_out),
    )


def _given_back(statement: Executable) -> Sequence[TypeEngine[Any]]:
    if not isinstance(statement, ReturnsRows):
        return ()
    return [column.type for column in statement.exported_columns]


def _refuse_defaults(statement: Executable, names: Sequence[str]) -> None:
    if isinstance(statement, Insert):
        forgotten = [one.name for one in statement.table.columns if one.default is not None]
    elif isinstance(statement, Update):
        forgotten = [one.name for one in statement.table.columns if one.onupdate is not None]
    else:
        return
    if missing := set(forgotten) - set(names):
        raise TypeError(f"a prepared statement names these columns itself: {sorted(missing)}")
