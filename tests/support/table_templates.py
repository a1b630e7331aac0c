"""Creates the tables of a test's database by copying a database in which they were created once."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

from function_calls import sharing
from sqlalchemy import URL

from soundstage.database import Base, Database

CreateTables = Callable[[Database], Awaitable[None]]


class TableTemplates:
    """Keeps one template per engine and set of tables: tests import the tables of more and more rooms."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[frozenset[str], Path] = {}
        self._databases: dict[frozenset[str], str] = {}

    async def create_tables(self, database: Database) -> None:
        """As `Database.create_tables`, which takes longer than most tests. Nobody uses the database yet."""
        tables = frozenset(Base.metadata.tables)
        if not database.is_sqlite:
            await self._copy_postgresql(database.url, tables)
        elif database.path is None or database.path.exists():
            await database.create_tables()
        else:
            await self._copy_file(database.path, tables)

    async def _copy_file(self, to: Path, tables: frozenset[str]) -> None:
        if tables not in self._files:
            file = self._folder / f"{len(self._files)}.db"
            await _fill(f"sqlite:///{file}")
            self._files[tables] = file
        shutil.copyfile(self._files[tables], to)

    async def _copy_postgresql(self, url: URL, tables: frozenset[str]) -> None:
        import asyncpg

        boss = await asyncpg.connect(host=url.query["host"], user=url.username, database="postgres")
        try:
            if tables not in self._databases:
                name = f"template_{secrets.token_hex(8)}"
                await boss.execute(f"CREATE DATABASE {name}")
                await _fill(url.set(database=name).render_as_string())
                self._databases[tables] = name
            await boss.execute(f"DROP DATABASE {url.database}")
            # Without a line in the write-ahead log for each page: a server of tests is never restored.
            template = f"TEMPLATE {self._databases[tables]} STRATEGY file_copy"
            await boss.execute(f"CREATE DATABASE {url.database} {template}")
        finally:
            await boss.close()


async def _fill(url: str) -> None:
    with sharing():
        template = Database(url)
        await template.create_tables()
        await template.close()
