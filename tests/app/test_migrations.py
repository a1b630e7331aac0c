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


async def test_an_empty_database_goes_through_every_version(database: Database, tmp_path: Path) -> None:
    for revision in revisions():
        await migrate(database, tmp_path, revision)
        assert await current_revision(database) == revision
    assert await drift(database) == []


@pytest.mark.slow
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


DAY = "2026-01-01"
TIMES = {"created_at": DAY, "updated_at": DAY}


def row(table: str, **values: str | int | bool) -> str:
    """The statement that adds it."""
    told = ", ".join(str(one) if isinstance(one, int) else f"'{one}'" for one in values.values())
    return f"INSERT INTO {table} ({', '.join(values)}) VALUES ({told})"  # noqa: S608


async def test_what_was_there_before_tenants_is_of_the_first_one(database: Database, tmp_path: Path) -> None:
    before = (
        "INSERT INTO projects (id, slug, title, subtitle, description, look, created_at, updated_at)"
        " VALUES ('prj_1', 'tides', 'Tides', '', '', '{}', '2026-01-01', '2026-01-01')",
        "INSERT INTO blob_references (sha256, owner, role, bytes) VALUES ('sha256:0', 'asset:a', 'file', 7)",
        "INSERT INTO derivations (owner, source) VALUES ('render:r', 'sha256:0')",
        "INSERT INTO api_keys (id, name, role, sha256, state, created_at, created_by)"
        " VALUES ('key_1', 'k', 'admin', '0', 'active', '2026-01-01', 'c')",
        row("scenes", id="scn_1", project_id="prj_1", position=0, title="", body="{}", **TIMES),
        row(
            "project_versions",
            id="ver_1",
            project_id="prj_1",
            number=1,
            content="{}",
            content_hash="1",
            note="",
            created_at=DAY,
        ),
        row(
            "assets",
            id="ast_1",
            project_id="prj_1",
            kind="image",
            name="",
            sha256="0",
            bytes=7,
            media_type="image/png",
            metadata="{}",
            **TIMES,
        ),
        row(
            "publishing_accounts",
            id="acc_1",
            channel_id="ch",
            title="",
            refresh_token_sealed="",
            access_token_sealed="",
            access_expires_at=DAY,
            connected_by="c",
            connected_at=DAY,
        ),
        row(
            "publications",
            id="pub_1",
            account_id="acc_1",
            state="queued",
            wishes="{}",
            sessions=0,
            bytes_sent=0,
            bytes_total=0,
            maybe_whole=False,
            extras_done="[]",
            warnings="[]",
            waits="",
            tries=0,
            next_at=DAY,
            cancel_requested=False,
            requested_by="c",
            created_at=DAY,
        ),
    )
    await migrate(database, tmp_path, "0013")
    async with database.transaction() as session:
        for statement in before:
            await session.execute(text(statement))
    await migrate(database, tmp_path)
    async with database.transaction() as session:
        for table in ("projects", "blob_references", "derivations", "api_keys", "scenes", "publications"):
            found = await session.scalars(text(f"SELECT tenant FROM {table}"))  # noqa: S608
            assert found.all() == ["default"], table
        # Tables that are made anew take nothing along of what refers to their rows.
        for table in ("scenes", "project_versions", "assets"):
            found = await session.scalars(text(f"SELECT project_id FROM {table}"))  # noqa: S608
            assert found.all() == ["prj_1"], table
        assert (await session.scalars(text("SELECT account_id FROM publications"))).all() == ["acc_1"]
        if database.is_sqlite:
            assert (await session.scalar(text("PRAGMA foreign_keys"))) == 1
        # Another tenant may have the same names, and hold the same file under them.
        again = before[0].replace("(id,", "(tenant, id,").replace("('prj_1'", "('acme', 'prj_2'")
        await session.execute(text(again))
        held = before[1].replace("(sha256,", "(tenant, sha256,").replace("('sha256:0'", "('acme', 'sha256:0'")
        await session.execute(text(held))
    with pytest.raises(IntegrityError):
        async with database.transaction() as session:
            await session.execute(text(again.replace("prj_2", "prj_3")))
