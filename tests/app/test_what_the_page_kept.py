"""What was kept under the old id of requests from loopback belongs to the user of this machine afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from agent.mcp.session import session_id_of
from agent.memory.service import MemoryService, Owner
from agent.sessions.repository import SessionRepository
from app.migrating import migrate
from policy import Principal
from soundstage.database import Database

pytestmark = pytest.mark.each_database

DAY = "2026-01-01"
OLD_MCP = session_id_of(Principal("loopback", "this machine", "admin", "local"))
USER = Principal.local_admin()


@pytest.fixture
async def database(database_url: str, tmp_path: Path) -> AsyncIterator[Database]:
    """As the version before the change left it."""
    made = Database(database_url)
    await migrate(made, tmp_path, "0015")
    yield made
    await made.close()


async def add(database: Database, table: str, **values: str | int | bool) -> None:
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    if not database.is_sqlite:
        kinds = {"created_at": "TIMESTAMPTZ", "updated_at": "TIMESTAMPTZ", "saved_at": "TIMESTAMPTZ",
                 "expires_at": "TIMESTAMPTZ", "plan": "JSON", "arguments": "JSON"}  # fmt: skip
        if table == "snapshots":
            kinds["state"] = "JSON"
        # Every value is text for the driver, and a bind of text is none of time.
        marks = ", ".join(
            f"CAST(CAST(:{n} AS TEXT) AS {kinds[n]})" if n in kinds else f":{n}" for n in values
        )
    statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608
    async with database.transaction() as session:
        await session.execute(text(statement), values)


async def of(database: Database, query: str) -> list[tuple[object, ...]]:
    async with database.session() as session:
        return [tuple(found) for found in await session.execute(text(query))]


async def add_session(database: Database, session_id: str, principal: str) -> None:
    await add(
        database, "agent_sessions", id=session_id, tenant="default", principal_id=principal, title="t",
        turns=0, created_at=DAY, updated_at=DAY,
    )  # fmt: skip


async def add_shelf(
    database: Database, shelf: str, owner: str, texts: dict[str, str], persona: str = ""
) -> None:
    await add(
        database, "memory_shelves", id=shelf, tenant="default", subject=owner, persona_id=persona,
        last_number=len(texts), epoch=shelf,
    )  # fmt: skip
    for number, (memory, said) in enumerate(texts.items(), 1):
        await add(
            database, "memories", id=memory, shelf_id=shelf, number=number, text=said, text_sha256=said,
            session_id=OLD_MCP, created_at=DAY,
        )  # fmt: skip
        await add(database, "memory_tellings", memory_id=memory, session_id=OLD_MCP, turn=number)


async def add_snapshot(database: Database, snapshot: str, owner: str, name: str) -> None:
    await add(
        database, "snapshots", id=snapshot, tenant="default", owner_id=owner, name=name,
        name_key=name.casefold(), session_id=OLD_MCP, turns=0, state="{}", saved_at=DAY,
    )  # fmt: skip


async def test_conversations_are_those_of_the_user_of_this_machine(
    database: Database, tmp_path: Path
) -> None:
    await add_session(database, "ses_page", "loopback")
    await add_session(database, "ses_key", "key_1")
    await add_session(database, OLD_MCP, "loopback")
    await migrate(database, tmp_path)
    assert await of(database, "SELECT id, principal_id FROM agent_sessions ORDER BY principal_id, id") == [
        ("ses_key", "key_1"),
        *sorted([(session_id_of(USER), "local:cli"), ("ses_page", "local:cli")]),
    ]
    async with database.session() as session:
        assert await SessionRepository(session).get(session_id_of(USER)) is not None


async def test_memories_of_both_stand_on_one_shelf(database: Database, tmp_path: Path) -> None:
    await add_shelf(database, "old", "loopback", {"m1": "tea", "m2": "rain"})
    await add_shelf(database, "new", "local:cli", {"m3": "tea", "m4": "snow", "m5": "fog"})
    await add_shelf(database, "ada", "loopback", {"m6": "salt"}, persona="ada")
    await add_shelf(database, "else", "key_1", {"m7": "theirs"})
    await migrate(database, tmp_path)
    assert await of(database, "SELECT id, subject, last_number FROM memory_shelves ORDER BY id") == [
        ("ada", "local:cli", 1),
        ("else", "key_1", 1),
        ("new", "local:cli", 4),
    ]
    rows = await of(database, "SELECT text, number FROM memories WHERE shelf_id = 'new' ORDER BY number")
    assert rows == [("tea", 1), ("snow", 2), ("fog", 3), ("rain", 4)]
    assert await of(database, "SELECT count(*) FROM memory_tellings WHERE memory_id IN ('m3', 'm2')") == [
        (2,)
    ]
    memory = MemoryService(database, tmp_path / "memory")
    found = await memory.export(Owner.of(USER))
    assert {one.text for one in found.memories} == {"tea", "snow", "fog", "rain", "salt"}


async def test_snapshots_approvals_and_keys_of_requests_go_along(database: Database, tmp_path: Path) -> None:
    await add_session(database, OLD_MCP, "loopback")
    await add_session(database, session_id_of(USER), "local:cli")
    for snapshot, owner, name in (
        ("s1", "loopback", "Tides"), ("s2", "local:cli", "tides"), ("s3", "loopback", "Other"),
        ("s4", "local:cli", "Tides (2)"),
    ):  # fmt: skip
        await add_snapshot(database, snapshot, owner, name)
    await add(
        database, "approvals", id="apr_1", state="pending", tool="t", permission="p", arguments="{}",
        arguments_sha256="0", plan="{}", plan_sha256="0", why="", approvers=1, requester_id="loopback",
        requester_name="this machine", requester_kind="loopback", requester_role="admin", tenant="default",
        session_id=OLD_MCP, local_files=True, created_at=DAY, expires_at=DAY, outcome="",
    )  # fmt: skip
    for principal, key in (("loopback", "a"), ("loopback", "b"), ("local:cli", "b"), ("key_1", "a")):
        await add(
            database, "idempotency_keys", tenant="default", principal=principal, operation="o", key=key,
            fingerprint=principal, made="m", created_at=DAY, expires_at=DAY,
        )  # fmt: skip
    await migrate(database, tmp_path)
    assert await of(database, "SELECT id, owner_id, name, name_key FROM snapshots ORDER BY id") == [
        ("s1", "local:cli", "Tides (3)", "tides (3)"),
        ("s2", "local:cli", "tides", "tides"),
        ("s3", "local:cli", "Other", "other"),
        ("s4", "local:cli", "Tides (2)", "tides (2)"),
    ]
    mine = session_id_of(USER)
    assert await of(database, "SELECT requester_id, requester_kind, session_id FROM approvals") == [
        ("local:cli", "local", mine)
    ]
    assert await of(database, "SELECT id FROM agent_sessions") == [(mine,)]
    keys = await of(database, 'SELECT principal, "key", fingerprint FROM idempotency_keys ORDER BY 1, 2')
    assert keys == [("key_1", "a", "key_1"), ("local:cli", "a", "loopback"), ("local:cli", "b", "local:cli")]
