"""Counts rows and finds the oldest, for state gauges."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute

from soundstage.database.base import utcnow
from soundstage.database.engine import Database
from soundstage.database.tenants import bypass_tenant_filter


async def count_by(database: Database, column: InstrumentedAttribute[Any]) -> dict[str, int]:
    """Returns the number of rows of all tenants by the values of a column."""
    with bypass_tenant_filter():
        async with database.session() as session:
            rows = await session.execute(select(column, func.count()).group_by(column))
            return {str(value): count for value, count in rows}


async def oldest_age_s(
    database: Database, column: InstrumentedAttribute[datetime], condition: ColumnElement[bool]
) -> float:
    """Returns the age of the oldest row of all tenants that fulfils the condition; 0 without one."""
    with bypass_tenant_filter():
        async with database.session() as session:
            oldest = await session.scalar(select(func.min(column)).where(condition))
    return 0.0 if oldest is None else max(0.0, (utcnow() - oldest).total_seconds())
