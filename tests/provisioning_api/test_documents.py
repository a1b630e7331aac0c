"""The table of attacks names tests that exist, and the migrations say the same as the models."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import text

from app.migrating import PROVISIONING, drift, migrate, revisions
from soundstage.database import Database

HERE = Path(__file__).parent
TABLE = HERE.parents[1] / "docs" / "attacks.md"


def test_every_line_of_the_table_of_attacks_is_a_test() -> None:
    named = re.findall(r"^\|.*\| `(test_\w+)` \|$", TABLE.read_text(), re.MULTILINE)
    rooms = [HERE, HERE.parent / "pxe", HERE.parent / "ansible"]
    files = [path for room in rooms for path in room.rglob("test_*.py")]
    existing = set(re.findall(r"def (test_\w+)", "".join(path.read_text() for path in files)))
    assert len(named) == len(set(named)) >= 25
    assert set(named) <= existing


# One machine with one certificate, as the first version wrote them.
FIRST_VERSION = (
    "INSERT INTO machines (id, name, state, pool, tags, ssh_port, host_key_from, acceptance, written,"
    " accepted_by, cause, hint, created_at, seen_at)"
    " VALUES ('mch_1', 'node1', 'enrolled', 'default', '[]', 22,"
    " '', 1, 1, 'x', '', '', '2026-01-01 00:00:00', '2026-01-01 00:00:00')",
    "INSERT INTO enrolments (id, machine_id, state, macs, armed_by, armed_at, expires_at)"
    " VALUES ('enr_1', 'mch_1', 'used', '[]', 'x', '2026-01-01 00:00:00', '2026-01-01 00:15:00')",
    "INSERT INTO credentials (serial, enrolment_id, machine_id, kind, content, issued_at, not_after,"
    " revoked_because) VALUES ('1', 'enr_1', 'mch_1', 'x509', 'PEM', '2026-01-01 00:00:00',"
    " '2026-04-01 00:00:00', '')",
)


@pytest.mark.each_database
@pytest.mark.parametrize("revision", revisions(PROVISIONING))
async def test_a_database_of_every_earlier_version_is_upgraded(
    database_url: str, tmp_path: Path, revision: str
) -> None:
    database = Database(database_url)
    await migrate(database, tmp_path, revision, tree=PROVISIONING)
    await migrate(database, tmp_path, tree=PROVISIONING)
    assert await drift(database, PROVISIONING) == []
    await database.close()


@pytest.mark.each_database
async def test_certificates_of_the_first_version_are_of_the_first_generation(
    database_url: str, tmp_path: Path
) -> None:
    database = Database(database_url)
    await migrate(database, tmp_path, "0001", tree=PROVISIONING)
    async with database.transaction() as session:
        for statement in FIRST_VERSION:
            await session.execute(text(statement))
    await migrate(database, tmp_path, tree=PROVISIONING)
    async with database.session() as session:
        kept = (await session.execute(text("SELECT serial, generation FROM credentials"))).all()
    assert [tuple(row) for row in kept] == [("1", 0)]
    await database.close()


@pytest.mark.each_database
async def test_models_and_migrations_do_not_drift_apart(database_url: str, tmp_path: Path) -> None:
    database = Database(database_url)
    await migrate(database, tmp_path, tree=PROVISIONING)
    assert await drift(database, PROVISIONING) == []
    await database.close()
