"""The table of attacks names tests that exist, and the migrations say the same as the models."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from drift import drift

from app.migrating import PROVISIONING, migrate, revisions
from soundstage.database import Database

HERE = Path(__file__).parent
TABLE = HERE.parents[1] / "docs" / "attacks.md"


def test_every_line_of_the_table_of_attacks_is_a_test() -> None:
    named = re.findall(r"^\|.*\| `([Tt]est\w+)` \|$", TABLE.read_text(), re.MULTILINE)
    rooms = [HERE, HERE.parent / "pxe", HERE.parent / "ansible"]
    files = [path for room in rooms for path in room.rglob("test_*.py")]
    files += (HERE.parents[1] / "pxe" / "agent").glob("*_test.go")
    existing = set(re.findall(r"(?:def|func) ([Tt]est\w+)", "".join(path.read_text() for path in files)))
    assert len(named) == len(set(named)) >= 25
    assert set(named) <= existing


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
async def test_models_and_migrations_do_not_drift_apart(database_url: str, tmp_path: Path) -> None:
    database = Database(database_url)
    await migrate(database, tmp_path, tree=PROVISIONING)
    assert await drift(database, PROVISIONING) == []
    await database.close()
