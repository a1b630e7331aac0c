"""A database of any earlier version is brought up to date, and the migrations say the same as the models."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from drift import drift
from sqlalchemy import inspect, text

from app.migrating import (
    LAST_WITH_ALL_MIGRATIONS,
    PROVISIONING,
    STUDIO,
    Tree,
    current_revision,
    migrate,
    newest_revision,
    revisions,
)
from soundstage.database import Base, Database
from soundstage.errors import Conflict

pytestmark = pytest.mark.each_database


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    created = Database(database_url)
    yield created
    await created.close()


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
    assert {"events", "api_keys", "projects", "renders", "agent_sessions"} <= Base.metadata.tables.keys()
    assert Base.metadata.tables.keys() <= await tables_in(database)


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


@pytest.mark.parametrize(("tree", "revision"), [(STUDIO, "0001"), (STUDIO, "0027"), (PROVISIONING, "0007")])
async def test_a_database_from_before_the_baseline_is_refused_and_left_alone(
    database: Database, tmp_path: Path, tree: Tree, revision: str
) -> None:
    async with database.transaction() as session:
        await session.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        await session.execute(text("INSERT INTO alembic_version VALUES (:at)"), {"at": revision})
    with pytest.raises(Conflict) as refused:
        await migrate(database, tmp_path, tree=tree)
    assert refused.value.code == "database.before_baseline"
    assert "soundstage migrate" in refused.value.hint and LAST_WITH_ALL_MIGRATIONS in refused.value.hint
    assert await current_revision(database) == revision
    assert await tables_in(database) == {"alembic_version"}


# Ends as a machine does that loses its power: in the middle, without a chance to tidy up.
CUT_OFF = """
import asyncio, os, signal, sys
from pathlib import Path
from alembic import op
from app.migrating import PROVISIONING, STUDIO, migrate
from soundstage.database import Database

create_table, made = op.create_table, []

def cut_off(*arguments, **options):
    made.append(create_table(*arguments, **options))
    if len(made) == 10:
        os.kill(os.getpid(), signal.SIGKILL)

op.create_table = cut_off
tree = {"app": STUDIO, "provisioning_api": PROVISIONING}[sys.argv[3]]
asyncio.run(migrate(Database(sys.argv[1]), Path(sys.argv[2]), tree=tree))
"""


@pytest.mark.parametrize("tree", [STUDIO, PROVISIONING], ids=["studio", "provisioning"])
async def test_a_migration_that_is_cut_off_has_changed_nothing_and_runs_at_the_next_start(
    database: Database, database_url: str, tmp_path: Path, tree: Tree
) -> None:
    command = (sys.executable, "-P", "-c", CUT_OFF, database_url, str(tmp_path), tree.package)
    killed = await asyncio.create_subprocess_exec(*command)
    assert await killed.wait() == -signal.SIGKILL
    assert await current_revision(database) is None
    assert await tables_in(database) == set()
    assert (await migrate(database, tmp_path, tree=tree)).changed
    assert await drift(database, tree) == []


async def tables_in(database: Database) -> set[str]:
    async with database.session() as session:
        connection = await session.connection()
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))
