"""`python -m app.migrations.copy [--machines] FROM_URL TO_URL`: moves an installation's rows into an empty
database; with `--machines` those of the provisioning API.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from app.migrating import PROVISIONING, STUDIO, Tree, migrate
from soundstage.database import Database
from soundstage.database.copying import copy_rows
from soundstage.errors import SoundstageError


async def copy(source_url: str, target_url: str, tree: Tree = STUDIO) -> dict[str, int]:
    """Brings both to the tables of this version first; the source keeps all that it has."""
    source, target = Database(source_url), Database(target_url)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for database in (source, target):
                await migrate(database, Path(folder), tree=tree)
        return await copy_rows(source, target, tree.tables().sorted_tables)
    finally:
        await source.close()
        await target.close()


def main() -> None:
    urls = [one for one in sys.argv[1:] if one != "--machines"]
    if len(urls) != 2:
        raise SystemExit(__doc__)
    source, target = urls
    tree = PROVISIONING if "--machines" in sys.argv else STUDIO
    try:
        copied = asyncio.run(copy(source, target, tree))
    except SoundstageError as error:
        raise SystemExit(str(error)) from error
    for name, count in copied.items():
        print(f"{count:8} {name}")


if __name__ == "__main__":
    main()
