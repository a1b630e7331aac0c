"""What is particular to PostgreSQL: a server that is elsewhere, full, gone, or of another mind."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import postgresql_server
import pytest
from sqlalchemy import text

from soundstage.database import Database, patience
from soundstage.database.leader_locks import LOST_EXIT_CODE
from soundstage.database.postgresql import CONNECT_SECONDS_OF_SEVERAL
from soundstage.database.restores import Restore, find_restore, note_closed
from soundstage.errors import Invalid, SoundstageError, Unavailable
from soundstage.events import EventStore


@pytest.fixture
def database_engine() -> str:
    return "postgresql"


@pytest.fixture
async def boss(database_url: str) -> AsyncIterator[Database]:
    """Another client of the same database."""
    database = Database(database_url)
    yield database
    await database.close()


async def ask(db: Database, sql: str = "SELECT 1") -> object:
    async with db.transaction() as session:
        return await session.scalar(text(sql))


async def code_of(url: str, sql: str = "SELECT 1") -> str:
    database = Database(url)
    with pytest.raises(SoundstageError) as error:
        await ask(database, sql)
    await database.close()
    assert "hunter2" not in str(error.value)
    return error.value.code


@asynccontextmanager
async def a_role(db: Database, described: str) -> AsyncIterator[None]:
    async with db.transaction() as session:
        await session.execute(text(f"CREATE ROLE {described}"))
    try:
        yield
    finally:
        async with db.transaction() as session:
            await session.execute(text(f"DROP ROLE {described.split()[0]}"))


async def test_of_several_servers_the_one_that_takes_writes_is_used() -> None:
    programs = postgresql_server.find_programs()
    assert programs is not None
    with (
        postgresql_server.running_server(programs) as primary,
        postgresql_server.running_standby(programs, primary) as standby,
    ):
        common = "postgresql://soundstage@/postgres?target_session_attrs=read-write"
        url = f"{common}&host={standby.folder},{primary.folder}&port=5432,5432"
        assert await code_of(f"{common}&host={standby.folder}") == "database.no_primary"
        database = Database(url)
        assert await ask(database, "SELECT pg_current_xact_id() IS NOT NULL"), "a standby gives no number"
        end(primary)
        assert await code_of(url) == "database.unreachable"
        with pytest.raises(Unavailable):
            await ask(database)
        follower = Database(standby.url("postgres"))
        with patience(30):
            waiting = asyncio.create_task(ask(database))
        await asyncio.sleep(0.5)
        assert not waiting.done(), "it waits for a server that takes writes"
        async with follower.session() as session:
            await session.execute(text("SELECT pg_promote()"))
        assert await waiting == 1
        with patience(0.5), pytest.raises(Unavailable):
            await ask(Database(f"{common}&host={primary.folder}"))
        await follower.close()
        assert await ask(database, "SELECT pg_current_xact_id() IS NOT NULL")
        await database.close()


def end(server: postgresql_server.PostgresqlServer) -> None:
    server.process.send_signal(signal.SIGINT)
    server.process.wait(30)


async def test_a_server_that_does_not_answer_leaves_time_for_the_next_one(database_url: str) -> None:
    """A machine without power sends nothing back, so the connection is neither made nor refused."""
    folder = database_url.split("host=")[1]
    name = database_url.split("/")[3].split("?")[0]
    with socket.socket(socket.AF_INET) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        url = f"postgresql://soundstage@/{name}?host=127.0.0.1,{folder}&port={port},5432"
        database = Database(url)
        began = time.monotonic()
        assert await ask(database) == 1
        waited_s = time.monotonic() - began
        assert await ask(database) == 1
        async with database.session() as session, database.session() as other:
            assert await session.scalar(text("SELECT 1")) == await other.scalar(text("SELECT 1"))
        assert waited_s >= CONNECT_SECONDS_OF_SEVERAL - 0.1
        assert time.monotonic() - began < 2 * CONNECT_SECONDS_OF_SEVERAL, "the one that answered comes first"
        await database.close()


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    assert await code_of("postgresql://u:hunter2@127.0.0.1:1/d") == "database.unreachable"
    assert await code_of("postgresql://u:hunter2@no.such.host.invalid/d") == "database.unreachable"
    assert await code_of("postgresql://u:hunter2@/d?host=/no/such/folder") == "database.unreachable"


async def test_a_database_that_the_server_has_not_is_missing(database_url: str) -> None:
    assert await code_of(database_url.replace("/test_", "/no_test_")) == "database.missing"


async def test_a_user_that_the_server_does_not_know_is_refused(database_url: str) -> None:
    assert await code_of(database_url.replace("//soundstage@", "//stranger:hunter2@")) == (
        "database.login_refused"
    )


async def test_a_user_without_rights_is_told_so(db: Database, database_url: str) -> None:
    async with a_role(db, "guest LOGIN"):
        guest = database_url.replace("//soundstage@", "//guest@")
        assert await code_of(guest, "SELECT count(*) FROM events") == "database.no_rights"


async def test_a_server_without_free_connections_says_so(db: Database, database_url: str) -> None:
    async with a_role(db, "crowd LOGIN CONNECTION LIMIT 0"):
        crowded = database_url.replace("//soundstage@", "//crowd@")
        assert await code_of(crowded) == "database.too_many_connections"


async def test_a_server_that_takes_no_writes_says_so(db: Database) -> None:
    with pytest.raises(Unavailable) as error:
        async with db.transaction() as session:
            await session.execute(text("SET TRANSACTION READ ONLY"))
            await session.execute(text("DELETE FROM events"))
    assert error.value.code == "database.read_only"


async def test_text_that_it_does_not_store_is_invalid(db: Database, events: EventStore) -> None:
    with pytest.raises(Invalid) as error:
        async with db.transaction() as session:
            await events.append(session, "a\0b", "k")
    assert error.value.code == "database.text_refused"


async def test_connections_that_the_server_has_ended_are_made_anew(db: Database, boss: Database) -> None:
    await ask(db)
    async with db.session() as session:
        await session.execute(text("SELECT 1"))
    end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    others = f"{end} WHERE datname = current_database() AND pid <> pg_backend_pid()"
    assert await ask(boss, others) == 2
    assert await ask(db) == 1
    async with db.session() as session:
        assert await session.scalar(text("SELECT 1")) == 1


async def test_a_connection_that_breaks_in_a_transaction_leaves_nothing(
    db: Database, boss: Database, events: EventStore
) -> None:
    with pytest.raises(Unavailable) as error:
        async with db.transaction() as session:
            await events.append(session, "a", "lost")
            pid = await session.scalar(text("SELECT pg_backend_pid()"))
            async with boss.session() as killer:
                await killer.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            await session.execute(text("SELECT 1"))
    assert error.value.code == "database.unreachable"
    async with db.transaction() as session:
        await events.append(session, "a", "kept")
    assert [(event.seq, event.kind) for event in await events.read("a")] == [(1, "kept")]


async def test_writers_who_wait_keep_nobody_from_reading(db: Database) -> None:
    """The one who has the lock reads beside it while forty others wait for their turn."""

    async def write() -> None:
        async with db.transaction() as session:
            await session.execute(text("SELECT 1"))

    async with db.transaction():
        waiting = [asyncio.create_task(write()) for _ in range(40)]
        await asyncio.sleep(0.1)
        async with asyncio.timeout(60), db.session() as session:
            assert await session.scalar(text("SELECT 1")) == 1
    await asyncio.gather(*waiting)


async def test_a_writer_that_sleeps_for_ever_is_thrown_out_by_the_server(db: Database) -> None:
    async with db.transaction() as session:
        limit = await session.scalar(text("SHOW idle_in_transaction_session_timeout"))
    assert limit == "30s"


END_OTHERS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
SERVICE = """
import asyncio, sys
from sqlalchemy import text
from soundstage.database import Database, patience
from soundstage.database.postgresql import CONNECT_SECONDS_OF_SEVERAL
from soundstage.database.restores import exit_when_restored
async def main():
    database = Database(sys.argv[1])
    exit_when_restored(database, None)
    async def ask():
        async with database.session() as session:
            return await session.scalar(text("SELECT 1"))
    print(await ask(), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print(await ask(), flush=True)
asyncio.run(main())
"""


async def test_a_process_ends_before_it_reads_rows_that_a_backup_brought(
    boss: Database, database_url: str
) -> None:
    service = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVICE, database_url,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert service.stdout is not None
    assert await service.stdout.readline() == b"1\n"
    assert await find_restore(boss) is None
    async with boss.transaction() as session:
        await session.execute(
            text(f"COMMENT ON DATABASE {boss.url.database} IS 'soundstage: loaded from backup ab12'")
        )
    await ask(boss, END_OTHERS)
    output, _ = await service.communicate(b"\n")
    assert (output, service.returncode) == (b"", LOST_EXIT_CODE)
    assert await find_restore(boss) == Restore("ab12", is_open=True)
    await note_closed(boss)
    assert await find_restore(boss) == Restore("ab12", is_open=False)
