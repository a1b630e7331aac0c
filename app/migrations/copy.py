"""`python -m app.migrations.copy FROM_URL TO_URL`: moves an installation's rows into an empty database."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from app.migrating import migrate
from app.tables import all_tables
from soundstage.database import Database
from soundstage.database.copying import copy_rows
from soundstage.errors import SoundstageError


async def copy(source_url: str, target_url: str) -> dict[str, int]:
    """Brings both to the tables of this version first; the source keeps all that it has."""
    source, target = Database(source_url), Database(target_url)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for database in (source, target):
                await migrate(database, Path(folder))
        return await copy_rows(source, target, all_tables().sorted_tables)
    finally:
        await source.close()
        await target.close()


def main() -> None:
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    try:
        copied = asyncio.run(copy(sys.argv[1], sys.argv[2]))
    except SoundstageError as error:
        raise SystemExit(str(error)) from error
    for name, count in copied.items():
        print(f"{count:8} {name}")


if __name__ == "__main__":
    main()
