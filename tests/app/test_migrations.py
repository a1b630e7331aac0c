"""A database of any earlier version is brought up to date, and the migrations say the same as the models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError

from app.migrating import current_revision, drift, migrate, newest_revision, revisions
from soundstage.database import Base, Database
from soundstage.errors import Conflict

pytestmark = pytest.mark.each_database


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    made = Database(database_url)
    yield made
    await made.close()


@pytest.mark.parametrize("revision", revisions())
async def test_a_database_of_every_earlier_version_is_upgraded(
    database: Database, tmp_path: Path, revision: str
) -> None:
    await migrate(database, tmp_path, revision)
    assert await current_revision(database) == revision
    await migrate(database, tmp_path)
    assert await current_revision(database) == newest_revision()
    assert await drift(database) == []


async def test_models_and_migrations_do_not_drift_apart(database: Database, tmp_path: Path) -> None:
    await migrate(database, tmp_path)
    assert await drift(database) == []


async def test_drift_is_seen(database: Database, tmp_path: Path) -> None:
    await migrate(database, tmp_path)
    async with database.transaction() as session:
        await session.execute(text("ALTER TABLE renders ADD COLUMN stray TEXT"))
    assert any("stray" in difference for difference in await drift(database))


async def test_every_table_of_every_room_is_migrated(database: Database, tmp_path: Path) -> None:
    await migrate(database, tmp_path)
    async with database.session() as session:
        connection = await session.connection()
        found = set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))
    assert {"events", "api_keys", "projects", "renders", "agent_sessions"} <= Base.metadata.tables.keys()
    assert Base.metadata.tables.keys() <= found


async def test_what_is_in_the_database_stays(database: Database, tmp_path: Path) -> None:
    await migrate(database, tmp_path)
    async with database.transaction() as session:
        await session.execute(
            text(
                "INSERT INTO agent_sessions (id, principal_id, title, turns, created_at, updated_at)"
                " VALUES ('ses_1', 'p', 't', 0, '2026-01-01', '2026-01-01')"
            )
        )
    assert (await migrate(database, tmp_path)).changed is False
    async with database.session() as session:
        assert (await session.scalars(text("SELECT id FROM agent_sessions"))).all() == ["ses_1"]


async def test_two_that_start_together_migrate_once(database_url: str, tmp_path: Path) -> None:
    databases = [Database(database_url) for _ in range(4)]
    done = await asyncio.gather(*(migrate(database, tmp_path) for database in databases))
    assert sorted(result.changed for result in done) == [False, False, False, True]
    for database in databases:
        await database.close()


async def test_machines_that_start_together_do_not_disturb_each_other(
    database_url: str, tmp_path: Path
) -> None:
    """Each has a state folder, and so a lock file, of its own."""
    databases = [Database(database_url) for _ in range(3)]
    await asyncio.gather(
        *(migrate(database, tmp_path / str(number)) for number, database in enumerate(databases))
    )
    assert await drift(databases[0]) == []
    for database in databases:
        await database.close()


async def test_a_database_of_a_newer_version_is_left_alone(database: Database, tmp_path: Path) -> None:
    await migrate(database, tmp_path)
    async with database.transaction() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Conflict, match="9999"):
        await migrate(database, tmp_path)


async def test_what_was_there_before_tenants_is_of_the_first_one(database: Database, tmp_path: Path) -> None:
    before = (
        "INSERT INTO projects (id, slug, title, subtitle, description, look, created_at, updated_at)"
        " VALUES ('prj_1', 'tides', 'Tides', '', '', '{}', '2026-01-01', '2026-01-01')",
        "INSERT INTO blob_references (sha256, owner, role, bytes) VALUES ('sha256:0', 'asset:a', 'file', 7)",
        "INSERT INTO derivations (owner, source) VALUES ('render:r', 'sha256:0')",
        "INSERT INTO api_keys (id, name, role, sha256, state, created_at, created_by)"
        " VALUES ('key_1', 'k', 'admin', '0', 'active', '2026-01-01', 'c')",
    )
    await migrate(database, tmp_path, "0013")
    async with database.transaction() as session:
        for statement in before:
            await session.execute(text(statement))
    await migrate(database, tmp_path)
    async with database.transaction() as session:
        for table in ("projects", "blob_references", "derivations", "api_keys"):
            found = await session.scalars(text(f"SELECT tenant FROM {table}"))  # noqa: S608
            assert found.all() == ["default"], table
        # Another tenant may have the same names, and hold the same file under them.
        again = before[0].replace("(id,", "(tenant, id,").replace("('prj_1'", "('acme', 'prj_2'")
        await session.execute(text(again))
        held = before[1].replace("(sha256,", "(tenant, sha256,").replace("('sha256:0'", "('acme', 'sha256:0'")
        await session.execute(text(held))
    with pytest.raises(IntegrityError):
        async with database.transaction() as session:
            await session.execute(text(again.replace("prj_2", "prj_3")))
