"""Creates the tables of a test's database by copying a file in which they were created once."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

from soundstage.database import Base, Database

CreateTables = Callable[[Database], Awaitable[None]]


class TableTemplates:
    """Keeps one file for each set of tables that the tests have imported."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[frozenset[str], Path] = {}

    async def create_tables(self, database: Database) -> None:
        """As `Database.create_tables`, which takes longer than most tests."""
        if database.path is None or database.path.exists():
            await database.create_tables()
            return
        tables = frozenset(Base.metadata.tables)
        if tables not in self._files:
            file = self._folder / f"{len(self._files)}.db"
            template = Database(f"sqlite:///{file}")
            await template.create_tables()
            await template.close()
            self._files[tables] = file
        shutil.copyfile(self._files[tables], database.path)
