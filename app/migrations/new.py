"""`python -m app.migrations.new "what changed"`: writes the next migration from the models."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from alembic import command

from app.migrating import alembic_config, migrate, revisions
from soundstage.database import Database


async def write(message: str) -> None:
    """Compares the models with an empty database that all migrations were applied to."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/compare.db")
        await migrate(database, Path(folder))
        number = f"{len(revisions()) + 1:04d}"
        async with database.session() as session:
            await (await session.connection()).run_sync(
                lambda sync: command.revision(
                    alembic_config(sync), message=message, autogenerate=True, rev_id=number
                )
            )
        await database.close()


if __name__ == "__main__":
    asyncio.run(write(" ".join(sys.argv[1:])))
