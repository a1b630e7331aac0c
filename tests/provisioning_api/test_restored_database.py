"""A PostgreSQL database of machines that a backup was loaded into, and the start of the process on it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from conftest import at_work
from ramdisk import Ramdisk
from sqlalchemy import delete, func, select, text

from provisioning_api.audit.models import AuditRecord
from soundstage.database import Database
from soundstage.database.restores import Restore, find_restore
from soundstage.errors import Conflict
from soundstage.key_sealing import PRIVATE_KEYS
from soundstage.settings import Settings


@pytest.fixture
def database_engine() -> str:
    return "postgresql"


async def mark(database: Database, restore_id: str) -> None:
    """Marks a database as `soundstage-backup` does."""
    comment = f"soundstage: loaded from backup {restore_id}"
    async with database.transaction() as session:
        await session.execute(text(f"COMMENT ON DATABASE {database.url.database} IS '{comment}'"))
    assert await find_restore(database) == Restore(restore_id, is_open=True)


@pytest.fixture
async def from_backup(settings: Settings) -> AsyncIterator[Database]:
    """A database with a machine that may be written, marked as `soundstage-backup` leaves it."""
    async with at_work(settings) as (operator, machine):
        ramdisk = Ramdisk(machine)
        await ramdisk.discover()
        accepted = await operator.post(
            f"/api/machines/{ramdisk.machine_id}/accept", json={"name": "waiting", "code": ramdisk.code}
        )
        assert accepted.json()["may_be_written"] is True
    database = Database(settings.provisioning_database_url)
    await mark(database, "ab12")
    yield database
    await database.close()


async def test_the_next_start_closes_what_was_open_in_the_backup(
    from_backup: Database, settings: Settings
) -> None:
    async with at_work(settings) as (operator, _):
        assert (await operator.get("/api/machines/waiting")).json()["may_be_written"] is False
        assert (await operator.get("/api/audit/verdict")).json()["broken_at"] is None
        again = await operator.post("/api/machines/waiting/reject")
        assert again.is_success
    assert await find_restore(from_backup) == Restore("ab12", is_open=False)
    async with at_work(settings) as (operator, _):
        audit = (await operator.get("/api/audit")).json()
        assert [line["action"] for line in audit].count("backup.restored") == 1


async def test_another_process_finds_the_log_whole_after_the_first_has_finished(
    from_backup: Database, settings: Settings
) -> None:
    """Its recorded head is of a line that the backup does not hold."""
    other = settings.model_copy(update={"state_dir": settings.state_dir.parent / "other"})
    keys = Path("provisioning", "keys")
    shutil.copytree(settings.state_dir / keys, other.state_dir / keys)
    async with at_work(settings):
        pass
    async with from_backup.session() as session:
        held = await session.scalar(select(func.max(AuditRecord.number)))
    async with at_work(other) as (operator, _):
        (await operator.post("/api/machines/waiting/reject")).raise_for_status()
        assert (await operator.get("/api/audit/verdict")).json()["code"] == ""
    async with from_backup.transaction() as session:
        await session.execute(delete(AuditRecord).where(AuditRecord.number > held))
    await mark(from_backup, "cd34")
    for process in (settings, other):
        async with at_work(process) as (operator, _):
            assert (await operator.get("/api/audit/verdict")).json()["code"] == ""
    async with at_work(settings) as (operator, _):
        actions = [line["action"] for line in (await operator.get("/api/audit")).json()]
        assert actions.count("backup.restored") == 2, "once for each restore, and not for each process"
        assert actions.count("backup.adopted") == 1, "its recorded head was of a line that is gone"


async def test_a_machine_with_other_keys_does_not_start(from_backup: Database, settings: Settings) -> None:
    other = settings.model_copy(update={"state_dir": settings.state_dir.parent / "other"})
    with pytest.raises(Conflict) as error:
        async with at_work(other):
            pass
    assert error.value.code == "restore.unproven_log" and "keys/audit.key" in str(error.value)
    assert await find_restore(from_backup) == Restore("ab12", is_open=True)


async def test_the_first_start_makes_all_keys_that_another_machine_needs(settings: Settings) -> None:
    async with at_work(settings):
        pass
    names = {path.name for path in (settings.state_dir / "provisioning/keys").iterdir()}
    assert {Path(name).name for name in PRIVATE_KEYS if name.startswith("provisioning/")} | {
        "ca.pem"
    } == names
