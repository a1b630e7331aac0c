"""The tenant filter, over every table that has rows of tenants."""

from __future__ import annotations

import ast
import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Table, create_engine, delete, func, insert, literal, select, update
from sqlalchemy.orm import aliased

from app.tables import all_tables
from soundstage.database import Base, Database, UtcDateTime
from soundstage.database.tenants import NO_TENANT, TenantOwned, bypass_tenant_filter, tenant_scope
from soundstage.events.models import EventStreamRow

ROOT = Path(__file__).resolve().parents[2]
TENANTS = ("acme", "rival")


def tenant_models() -> list[Any]:
    all_tables()
    found = [one.class_ for one in Base.registry.mappers if issubclass(one.class_, TenantOwned)]
    return sorted(found, key=lambda one: str(one.__tablename__))


every_model = pytest.mark.parametrize("model", tenant_models(), ids=lambda model: model.__tablename__)


@pytest.fixture(scope="module")
def database_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One row of each tenant in every table, and a counter of events, which has no tenant."""
    path = tmp_path_factory.mktemp("tenants") / "all.db"
    # Without foreign keys: SQLite checks none unless a connection asks for it.
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        all_tables().create_all(connection)
        connection.execute(insert(EventStreamRow).values(name="s", last=1))
        for model in tenant_models():
            for number, tenant in enumerate(TENANTS):
                values = {**dict(values_of(model.__table__, number)), "tenant": tenant}
                connection.execute(insert(model.__table__).values(values))
    engine.dispose()
    return path


@pytest.fixture
def copy(database_file: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(database_file, tmp_path))


@pytest.fixture
async def db(copy: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{copy}")
    yield database
    await database.close()


def values_of(table: Table, number: int) -> Iterator[tuple[str, Any]]:
    for column in table.columns:
        if column.primary_key or not column.nullable:
            yield column.name, value_of(column, number)


def value_of(column: Column[Any], number: int) -> Any:
    if isinstance(column.type, UtcDateTime):
        return datetime(2026, 1, 1, tzinfo=UTC)
    kind = column.type.python_type
    if kind is str:
        return f"{number}-{column.name}"[: getattr(column.type, "length", None) or 60]
    return {int: number + 1, float: 1.0, bool: True, bytes: b"x", object: {}}[kind]


async def all_rows(db: Database, model: Any) -> list[str]:
    with bypass_tenant_filter():
        async with db.session() as session:
            return sorted(await session.scalars(select(model.tenant)))


def test_there_are_tables_to_look_at() -> None:
    assert len(tenant_models()) > 15


@every_model
async def test_reads_find_the_rows_of_the_current_tenant_alone(db: Database, model: Any) -> None:
    assert await all_rows(db, model) == list(TENANTS)
    key, other = model.__mapper__.primary_key, aliased(model)
    with bypass_tenant_filter():
        async with db.session() as session:
            theirs = (await session.execute(select(*key).where(model.tenant == "rival"))).one()
    with tenant_scope("acme"):
        async with db.session() as session:
            assert [row.tenant for row in await session.scalars(select(model))] == ["acme"]
            assert list(await session.scalars(select(model.tenant))) == ["acme"]
            assert list(await session.scalars(select(other.tenant))) == ["acme"]
            assert await session.scalar(select(func.count()).select_from(model)) == 1
            assert await session.get(model, tuple(theirs)) is None
            # What is selected first is of no tenant; the join, the subquery and the union are.
            joined = select(EventStreamRow.name, model.tenant).join(model, literal(True))
            assert [row.tenant for row in await session.execute(joined)] == ["acme"]
            inner = select(func.count()).select_from(model).scalar_subquery()
            assert await session.scalar(select(EventStreamRow.last + inner)) == 2
            assert list(await session.scalars(select(model.tenant).union_all(select(other.tenant)))) == [
                "acme",
                "acme",
            ]
    with tenant_scope(NO_TENANT):
        async with db.session() as session:
            assert list(await session.scalars(select(model))) == []


@every_model
async def test_changes_meet_the_rows_of_the_current_tenant_alone(db: Database, model: Any) -> None:
    with tenant_scope("acme"):
        async with db.transaction() as session:
            changed = await session.execute(update(model).values(tenant="acme-2"))
            assert changed.rowcount == 1
    assert await all_rows(db, model) == ["acme-2", "rival"]
    with tenant_scope("acme-2"):
        async with db.transaction() as session:
            assert (await session.execute(delete(model))).rowcount == 1
    assert await all_rows(db, model) == ["rival"]


@every_model
async def test_core_statements_are_refused_while_the_filter_is_on(db: Database, model: Any) -> None:
    table = model.__table__
    inner = select(func.count()).select_from(table).scalar_subquery()
    for statement in (
        select(table),
        select(EventStreamRow.__table__.c.last + inner),
        update(table).values(tenant="acme"),
        delete(table),
        insert(table).values(tenant="rival"),
    ):
        async with db.session() as session:
            with pytest.raises(RuntimeError, match=table.name):
                await session.execute(statement)
    with bypass_tenant_filter():
        async with db.session() as session:
            assert len((await session.execute(select(table))).all()) == 2


def test_no_room_with_tables_of_tenants_writes_sql_as_text() -> None:
    """Checks for the one kind of statement that a session can neither filter nor refuse."""
    files = sorted((ROOT / "studio").rglob("*.py"))
    assert len(files) > 100
    for path in files:
        imported = {
            name.name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqlalchemy")
            for name in node.names
        }
        assert not imported & {"text", "literal_column", "TextClause"}, path
