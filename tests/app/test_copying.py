"""An installation that outgrows SQLite takes its rows along."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from sqlalchemy import JSON, Table, func, select, update

from app.migrating import PROVISIONING, migrate
from app.migrations.copy import copy, main
from app.tables import all_tables
from policy import Policy, Principal
from policy.keys.schemas import KeyRequest
from provisioning_api.audit.models import AuditRecord
from soundstage.database import Database, copying, utcnow
from soundstage.database.tenants import bypass_tenant_filter
from soundstage.errors import Conflict
from soundstage.events import EventStore
from soundstage.settings import Settings

pytestmark = pytest.mark.each_database
TEXT = "ünï 😀"


@pytest.fixture
async def source_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A SQLite database with a key that another one replaces, and more events than fit into one batch."""
    monkeypatch.setattr(copying, "ROWS_AT_ONCE", 20)
    url = f"sqlite:///{tmp_path / 'small.db'}"
    db = Database(url)
    await migrate(db, tmp_path)
    events = EventStore(db)
    keys = Policy.open(Settings(state_dir=tmp_path / "policy"), db, events).keys
    admin = Principal.local_admin()
    async with db.transaction() as session:
        # Ids sort by time: the old key comes first, and refers to the new one.
        created = await keys.create(session, KeyRequest(name=TEXT, role="viewer"), admin)
    async with db.transaction() as session:
        await keys.rotate(session, created.id, admin)
        for number in range(45):
            await events.append(session, "a", "counted", {"number": number, "text": TEXT})
    await db.close()
    return url


async def content(db: Database, table: Table) -> list[object]:
    with bypass_tenant_filter():
        async with db.session() as session:
            return sorted(repr(row) for row in await session.execute(select(table)))


async def test_every_row_comes_along_and_numbers_go_on(source_url: str, database_url: str) -> None:
    copied = await copy(source_url, database_url)
    source, target = Database(source_url), Database(database_url)
    assert copied["api_keys"] == 2 and copied["events"] >= 45
    for table in all_tables().sorted_tables:
        assert await content(target, table) == await content(source, table), table.name
    events = EventStore(target)
    last = await events.last_id()
    async with target.transaction() as session:
        assert (await events.append(session, "a", "next")).id == last + 1
    await source.close()
    await target.close()


async def test_a_missing_json_value_stays_missing(source_url: str, database_url: str) -> None:
    await copy(source_url, database_url)
    db = Database(database_url)
    scopes = all_tables().tables["api_keys"].columns["scopes"]
    assert isinstance(scopes.type, JSON)
    async with db.session() as session:
        missing = await session.scalar(select(func.count()).where(scopes.is_(None)))
    await db.close()
    assert missing == 2


async def test_a_database_that_holds_something_is_left_alone(source_url: str, database_url: str) -> None:
    await copy(source_url, database_url)
    with pytest.raises(Conflict) as error:
        await copy(source_url, database_url)
    assert error.value.code == "database.not_empty"


@pytest.fixture
async def machines_url(tmp_path: Path) -> str:
    """A database of the provisioning API with an event and an audit record."""
    url = f"sqlite:///{tmp_path / 'provisioning.db'}"
    source = Database(url)
    await migrate(source, tmp_path, tree=PROVISIONING)
    async with source.transaction() as session:
        await EventStore(source).append(session, "machines", "machine.seen", {"name": TEXT})
        session.add(
            AuditRecord(
                number=1, at=utcnow(), actor="ann", action="machine.accepted", subject="n1", data={},
                before="", sha256="ab12",
            )
        )  # fmt: skip
    await source.close()
    return url


async def test_the_rows_of_machines_come_along(machines_url: str, database_url: str) -> None:
    copied = await copy(machines_url, database_url, PROVISIONING)
    assert copied["events"] == 1 and copied["machines"] == 0
    target = Database(database_url)
    [event] = await EventStore(target).read("machines")
    assert event.data["name"] == TEXT
    await target.close()


async def test_the_rows_of_machines_are_copied_once(machines_url: str, database_url: str) -> None:
    await copy(machines_url, database_url, PROVISIONING)
    assert await copy(machines_url, database_url, PROVISIONING) == {}
    target = Database(database_url)
    async with target.transaction() as session:
        await session.execute(update(AuditRecord).values(sha256="cd34"))
    await target.close()
    with pytest.raises(Conflict) as error:
        await copy(machines_url, database_url, PROVISIONING)
    assert error.value.code == "database.not_empty", "another installation"


async def test_the_target_of_the_settings_stands_in_no_list_of_processes(
    machines_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOUNDSTAGE_PROVISIONING__DATABASE_URL", database_url)
    monkeypatch.setattr(sys, "argv", ["copy", "--machines", machines_url])
    await asyncio.to_thread(main)
    assert " audit_records" in capsys.readouterr().out
