"""Times of leases are those of the database, in the form in which it stores the others."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

import pytest
from sqlalchemy import bindparam, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from soundstage.database import Database, UtcDateTime, server_time, utcnow

pytestmark = pytest.mark.each_database


class OwnBase(DeclarativeBase):
    """Its table is none of the program's."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcDateTime}


class LeaseOfTests(OwnBase):
    __tablename__ = "lease_of_tests"
    id: Mapped[str] = mapped_column(primary_key=True)
    until: Mapped[datetime]


@pytest.fixture
async def leases(db: Database) -> Database:
    async with db.transaction() as session:
        await (await session.connection()).run_sync(LeaseOfTests.__table__.create, checkfirst=True)
        for name, in_s in (("past", -3600.25), ("soon", 3600.25)):
            values = insert(LeaseOfTests).values(until=server_time(bindparam("in_s")))
            await session.execute(values, {"id": name, "in_s": in_s})
    return db


async def test_it_is_stored_and_compared_as_other_times_are(leases: Database) -> None:
    async with leases.session() as session:
        ended = select(LeaseOfTests.id).where(LeaseOfTests.until < server_time())
        assert (await session.scalars(ended)).all() == ["past"]
        for now in (utcnow(), utcnow().replace(microsecond=0)):
            assert (await session.scalars(select(LeaseOfTests.id).where(LeaseOfTests.until > now))).all() == [
                "soon"
            ]
        found = await session.scalar(select(LeaseOfTests.until).where(LeaseOfTests.id == "soon"))
    assert found is not None and found.tzinfo is not None
    assert 3000 < (found - utcnow()).total_seconds() < 3601


async def test_it_can_be_given_to_a_row(leases: Database) -> None:
    async with leases.transaction() as session:
        row = await session.get_one(LeaseOfTests, "past")
        row.until = server_time(60.0)  # type: ignore[assignment]
    async with leases.session() as session:
        ended = select(LeaseOfTests.id).where(LeaseOfTests.until < server_time())
        assert (await session.scalars(ended)).all() == []
