"""Base classes of all repositories: the session, and what the SQL of every table has in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.sql.selectable import TypedReturnsRows

Row = TypeVar("Row", bound=DeclarativeBase)
Value = TypeVar("Value")


class Queries:
    """Runs statements in the session of the caller, who commits."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def _all(self, query: TypedReturnsRows[Value]) -> Sequence[Value]:
        """Returns the first column of all rows: the objects of a query for one table."""
        return (await self._session.scalars(query)).all()


class Repository(Queries, Generic[Row]):
    """Inserts rows, beside the queries of its subclass."""

    async def add(self, row: Row) -> Row:
        """Inserts a row at once, so that what its table refuses is raised here."""
        self._session.add(row)
        await self._session.flush()
        return row
