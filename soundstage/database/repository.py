"""Base classes of all repositories: the session, and what the SQL of every table has in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar, get_args

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.sql.selectable import TypedReturnsRows

from soundstage.errors import SoundstageError

Row = TypeVar("Row", bound=DeclarativeBase)
Value = TypeVar("Value")


class Queries:
    """Runs statements in the session of the caller, who commits."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def _all(self, query: TypedReturnsRows[Value]) -> Sequence[Value]:
        """Returns the first column of all rows: the objects of a query for one table."""
        return (await self._session.scalars(query)).all()

    async def _set(self, query: TypedReturnsRows[Value]) -> set[Value]:
        """Returns the values of the first column."""
        return set(await self._all(query))

    async def _count(self, query: TypedReturnsRows[int]) -> int:
        """Returns the number that a query counts."""
        return await self._session.scalar(query) or 0


class Repository(Queries, Generic[Row]):
    """Finds, inserts and deletes rows of one table, beside the queries of its subclass."""

    async def find(self, key: str) -> Row | None:
        """Returns the row with this primary key."""
        model: type[Row] = get_args(vars(type(self))["__orig_bases__"][0])[0]
        return await self._session.get(model, key)

    async def require(self, key: str, missing: SoundstageError) -> Row:
        """Returns what `find` finds. Raises `missing` where that is nothing."""
        row = await self.find(key)
        if row is None:
            raise missing
        return row

    async def add(self, row: Row) -> Row:
        """Inserts a row at once, so that what its table refuses is raised here."""
        self._session.add(row)
        await self._session.flush()
        return row

    async def delete(self, row: Row) -> None:
        """Deletes a row at once."""
        await self._session.delete(row)
        await self._session.flush()
