"""Fills new SQLite databases of tests from templates that were migrated once.

A pytest plugin for rooms whose tests open many installations: `pytest_plugins` cannot name it below the top,
so their conftest imports its fixture. Migrations themselves are proven by tests/app/test_migrations.py.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from function_calls import sharing

from app.migrating import STUDIO, Migrated, Tree, migrate
from soundstage.database import Database


class DatabaseTemplates:
    """Migrates as the product does, and begins with a copy of a migrated file where there is no file yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def migrate(
        self, database: Database, state_dir: Path, target: str = "head", tree: Tree = STUDIO
    ) -> Migrated:
        if target == "head" and database.path is not None and not database.path.exists():
            await self.copy(tree, database.path)
        return await migrate(database, state_dir, target, tree)

    async def copy(self, tree: Tree, to: Path) -> None:
        template = self.folder / f"{tree.package}.db"
        if not template.exists():
            with sharing():
                database = Database(f"sqlite:///{template}")
                await migrate(database, self.folder, tree=tree)
                await database.close()
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(template, to)

    def copy_now(self, to: Path, tree: Tree = STUDIO) -> None:
        """For tests that start a server as a process."""
        asyncio.run(self.copy(tree, to))


@pytest.fixture(scope="session", autouse=True)
def database_templates() -> Iterator[DatabaseTemplates]:
    """New databases of installations that this process opens are copies of one template."""
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory(prefix="soundstage-templates-") as folder,
    ):
        templates = DatabaseTemplates(Path(folder))
        # Only what the room's tests import: an import here would make each of them depend on both.
        for name in ("composition", "provisioning"):
            if module := sys.modules.get("app." + name):
                patch.setattr(module, "migrate", templates.migrate)
        yield templates
