"""`python -m app.migrations.new [studio|provisioning] "what changed"`: writes the next migration from the
models.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from alembic import command

from app.migrating import PROVISIONING, STUDIO, Tree, alembic_config, migrate, newest_revision
from soundstage.database import Database


async def write(message: str, tree: Tree) -> None:
    """Compares the models with an empty database that all migrations were applied to."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/compare.db")
        await migrate(database, Path(folder), tree=tree)
        number = f"{int(newest_revision(tree) or 0) + 1:04d}"
        async with database.session() as session:
            await (await session.connection()).run_sync(
                lambda sync: command.revision(
                    alembic_config(sync, tree), message=message, autogenerate=True, rev_id=number
                )
            )
        await database.close()


if __name__ == "__main__":
    chosen = PROVISIONING if sys.argv[1:2] == ["provisioning"] else STUDIO
    words = [word for word in sys.argv[1:] if word not in ("studio", "provisioning")]
    asyncio.run(write(" ".join(words), chosen))
