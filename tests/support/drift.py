"""Compares the models of a tree of migrations with a database that they have made."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from app.migrating import STUDIO, Tree
from soundstage.database import Database


async def drift(database: Database, tree: Tree = STUDIO) -> list[str]:
    """Differences between the models and the migrated database, in words; empty when there are none."""

    def differences(connection: Connection) -> list[str]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return [repr(difference) for difference in compare_metadata(context, tree.tables())]

    async with database.session() as session:
        return await (await session.connection()).run_sync(differences)
