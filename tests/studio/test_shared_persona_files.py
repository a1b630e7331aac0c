"""Personas made by people on two control machines: one database, a folder on each."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from soundstage.database import Database
from soundstage.database.tenants import bypass_tenant_filter
from studio.personas.models import PersonaFile
from studio.personas.shared_files import SharedPersonaFiles

pytestmark = pytest.mark.each_database

ADA = "id: ada\nname: Ada\n"
GRACE = "id: grace\nname: Grace\n"


@dataclass
class Machine:
    """A control machine; `restart` gives it a process that remembers nothing."""

    db: Database
    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.restart()

    def restart(self) -> None:
        self.files = SharedPersonaFiles(self.db, self.folder)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def contents(self) -> dict[str, str]:
        return {
            path.relative_to(self.folder).as_posix(): path.read_text(encoding="utf-8")
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }


@pytest.fixture
def first(db: Database, tmp_path: Path) -> Machine:
    return Machine(db, tmp_path / "first")


@pytest.fixture
def second(db: Database, tmp_path: Path) -> Machine:
    return Machine(db, tmp_path / "second")


async def test_files_of_every_tenant_come_to_the_other_machine(first: Machine, second: Machine) -> None:
    first.write("ada.yaml", ADA)
    first.write("ada.dossier.json", "{}")
    first.write("guests/grace.yaml", GRACE)
    first.write(".ada.yaml.part", "half of it")
    assert await first.files.refresh() is True
    assert await second.files.refresh() is False
    assert second.contents() == {"ada.dossier.json": "{}", "ada.yaml": ADA, "guests/grace.yaml": GRACE}
    with bypass_tenant_filter():
        async with first.db.session() as session:
            tenants = {row.name: row.tenant for row in await session.scalars(select(PersonaFile))}
    assert tenants == {"ada.yaml": "default", "ada.dossier.json": "default", "grace.yaml": "guests"}


async def test_a_change_and_a_removal_come_too(first: Machine, second: Machine) -> None:
    first.write("ada.yaml", ADA)
    await first.files.refresh()
    await second.files.refresh()
    second.write("ada.yaml", ADA + "title: Countess\n")
    await second.files.refresh()
    await first.files.refresh()
    assert first.contents() == {"ada.yaml": ADA + "title: Countess\n"}
    (first.folder / "ada.yaml").unlink()
    await first.files.refresh()
    await second.files.refresh()
    assert second.contents() == {}


async def test_a_machine_that_was_off_does_not_bring_a_removed_persona_back(
    first: Machine, second: Machine
) -> None:
    first.write("ada.yaml", ADA)
    await first.files.refresh()
    await second.files.refresh()
    (first.folder / "ada.yaml").unlink()
    await first.files.refresh()
    second.restart()
    await second.files.refresh()
    await first.files.refresh()
    assert (first.contents(), second.contents()) == ({}, {})
    second.write("ada.yaml", ADA)
    await second.files.refresh()
    await first.files.refresh()
    assert first.contents() == {"ada.yaml": ADA}, "a new one of the same name is no old one"


async def test_a_lost_folder_is_filled_again_and_removes_nothing(first: Machine, second: Machine) -> None:
    first.write("ada.yaml", ADA)
    await first.files.refresh()
    await second.files.refresh()
    await asyncio.to_thread(shutil.rmtree, second.folder)
    second.restart()
    await second.files.refresh()
    await first.files.refresh()
    assert first.contents() == second.contents() == {"ada.yaml": ADA}


async def test_what_both_have_changed_is_the_database_s_and_the_other_text_stays_beside(
    first: Machine, second: Machine
) -> None:
    first.write("ada.yaml", ADA)
    second.write("ada.yaml", GRACE)
    await first.files.refresh()
    await second.files.refresh()
    assert second.contents() == {"ada.yaml": ADA, "ada.yaml.replaced": GRACE}
    await first.files.refresh()
    assert first.contents() == {"ada.yaml": ADA}


async def test_another_database_gets_what_the_folder_has(first: Machine) -> None:
    first.write("ada.yaml", ADA)
    await first.files.refresh()
    async with first.db.transaction() as session:
        await session.delete(await session.get(PersonaFile, ("default", "ada.yaml")))
    first.restart()
    assert await first.files.refresh() is True
    assert first.contents() == {"ada.yaml": ADA}


async def test_a_change_in_a_transaction_sees_what_the_other_machine_has_made(
    first: Machine, second: Machine
) -> None:
    first.write("ada.yaml", ADA)
    await first.files.refresh()
    pushed: list[bool] = []
    second.files.on_push = lambda: pushed.append(True)
    async with second.db.transaction() as session, second.files.changing(session):
        assert second.contents() == {"ada.yaml": ADA}
        second.write("grace.yaml", GRACE)
    assert pushed == [True]
    second.restart()
    await asyncio.to_thread(shutil.rmtree, second.folder)
    await first.files.refresh()
    assert first.contents() == {"ada.yaml": ADA, "grace.yaml": GRACE}


async def test_a_round_without_news_writes_nothing(first: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    first.write("ada.yaml", ADA)
    await first.files.refresh()

    def refuse(*_: object) -> None:
        raise AssertionError("a transaction, or a file that was read again")

    monkeypatch.setattr(type(first.db), "transaction", refuse)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert await first.files.refresh() is False
