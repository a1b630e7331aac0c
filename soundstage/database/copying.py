"""Copies all rows of one database into another, of whatever engine: how an installation outgrows SQLite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import JSON, Column, Insert, Table, bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from soundstage.database.engine import Database
from soundstage.database.tenants import bypass_tenant_filter
from soundstage.errors import Conflict

ROWS_AT_ONCE = 500


async def copy_rows(source: Database, target: Database, tables: Sequence[Table]) -> dict[str, int]:
    """Copies `tables` (those referred to first) in one transaction; gives the number of rows of each.

    Both databases have these tables already, at the same revision. No process may write to the source
    meanwhile. Raises Conflict when the target holds something.
    """
    copied: dict[str, int] = {}
    with bypass_tenant_filter():
        async with source.session() as reading, target.transaction() as writing:
            for table in tables:
                if await writing.scalar(select(func.count()).select_from(table)):
                    raise Conflict(
                        "database.not_empty",
                        f"The database to copy into has rows in {table.name} already.",
                        "Take an empty one, with only `soundstage migrate` run on it.",
                    )
            for table in tables:
                copied[table.name] = await _copy(reading, writing, table)
    return copied


async def _copy(reading: AsyncSession, writing: AsyncSession, table: Table) -> int:
    count = 0
    # A row may refer to one of its own table that comes later; that is filled in when all are there.
    own = [
        column for column in table.columns if any(key.column.table is table for key in column.foreign_keys)
    ]
    later: list[tuple[Any, dict[str, Any]]] = []
    rows = iter((await reading.execute(select(table))).mappings())
    for batch in _batches(rows):
        for row in batch:
            if links := {column.name: row[column.name] for column in own if row[column.name] is not None}:
                later.append(({key.name: row[key.name] for key in table.primary_key}, links))
                row.update(dict.fromkeys(links))
        await writing.execute(_insert(table), batch)
        count += len(batch)
    for keys, links in later:
        await writing.execute(
            update(table).where(*(table.columns[name] == value for name, value in keys.items())).values(links)
        )
    return count


def _batches(rows: Iterator[Any]) -> Iterator[list[dict[str, Any]]]:
    while batch := [dict(row) for row in islice(rows, ROWS_AT_ONCE)]:
        yield batch


def _insert(table: Table) -> Insert:
    return insert(table).values({column.name: _bound(column) for column in table.columns})


def _bound(column: Column[Any]) -> Any:
    # A missing JSON value stays missing; by default it would become the JSON text `null`.
    kind = JSON(none_as_null=True) if isinstance(column.type, JSON) else column.type
    return bindparam(column.name, type_=kind)
