"""U+0000, which PostgreSQL stores in no text, breaks neither a turn nor the audit log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from table_templates import CreateTables

from agent.events import Text, ToolReturned
from agent.sessions.service import SessionService, TurnEnd
from app.tables import all_tables
from policy import Principal
from policy.audit import AuditEntry, AuditLog
from policy.audit.head import HeadFile
from soundstage.database import Database
from soundstage.events import EventStore

pytestmark = pytest.mark.each_database

ADA = Principal(id="key_ada", name="Ada", role="editor", kind="key")


@pytest.fixture
async def database(database_url: str, create_tables: CreateTables) -> AsyncIterator[Database]:
    all_tables()
    database_copy = Database(database_url)
    await create_tables(database_copy)
    yield database_copy
    await database_copy.close()


async def test_a_turn_is_written_with_what_was_said_and_answered(database: Database, tmp_path: Path) -> None:
    events, audit = EventStore(database), AuditLog(database, HeadFile(tmp_path))
    sessions = SessionService(database, events, audit)
    conversation = await sessions.open(ADA)
    turn = await sessions.begin_turn(conversation, "what is in\x00 the file?")
    output = [ToolReturned(tool="ssh", result={"output": "ELF\x00\x01"}), Text(text="It says ELF\x00.")]
    await sessions.append_events(turn, output[:1], TurnEnd("ELF\x00"))
    await sessions.end_turn(turn, TurnEnd("It says ELF\x00."), output[1:])
    [stored] = await sessions.turns(ADA, conversation.id)
    assert (stored.state, stored.utterance, stored.reply) == (
        "done",
        "what is in� the file?",
        "It says ELF�.",
    )
    assert [event.data.get("text") for event in await events.read(turn.stream)] == [None, "It says ELF�."]
    assert [line.kind for line in await audit.read(0, 10, ADA.tenant)] == ["utterance.said"]


async def test_the_audit_log_of_a_tenant_can_be_read_whatever_a_tool_was_given(
    database: Database, tmp_path: Path
) -> None:
    audit = AuditLog(database, HeadFile(tmp_path))
    data = {"arguments": {"code": "print('\x00')"}, "a\x00b": ["\x00"]}
    await audit.record_now(AuditEntry("tool.called", "Ada", "code_runner", data=data))
    await audit.record_now(AuditEntry("tool.called", "Bob", "help", tenant="other"))
    assert len(await audit.read(0, 10, "default")) == len(await audit.read(0, 10, "other")) == 1
    assert (await audit.verify()).broken_at is None
