"""`python -m app.migrations.copy [--machines] FROM_URL [TO_URL]`: moves an installation's rows into an empty
database; with `--machines` those of the provisioning API. Without TO_URL into the one of the settings, whose
variables keep its password out of lists of processes.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from sqlalchemy import select

from app.migrating import PROVISIONING, STUDIO, Tree, migrate
from provisioning_api.audit.models import AuditRecord
from soundstage.database import Database
from soundstage.database.copying import copy_rows
from soundstage.errors import SoundstageError
from soundstage.settings import load_settings


async def copy(source_url: str, target_url: str, tree: Tree = STUDIO) -> dict[str, int]:
    """Brings both to the tables of this version first; the source keeps all that it has.

    Copies nothing where the provisioning API's rows were copied before, maybe long ago.
    """
    source, target = Database(source_url), Database(target_url)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for database in (source, target):
                await migrate(database, Path(folder), tree=tree)
        if tree is PROVISIONING and await is_copied(source, target):
            return {}
        return await copy_rows(source, target, tree.tables().sorted_tables)
    finally:
        await source.close()
        await target.close()


async def is_copied(source: Database, target: Database) -> bool:
    """Returns whether the target has the source's last audit record; its hash covers all before it."""
    async with source.session() as reading:
        last = await reading.scalar(select(AuditRecord).order_by(AuditRecord.number.desc()).limit(1))
    if last is None:
        return False
    async with target.session() as reading:
        same = await reading.get(AuditRecord, last.number)
    return same is not None and same.sha256 == last.sha256


def url_of_settings(tree: Tree) -> str:
    settings = load_settings()
    return settings.provisioning_database_url if tree is PROVISIONING else settings.database_url


def main() -> None:
    urls = [one for one in sys.argv[1:] if one != "--machines"]
    if len(urls) not in (1, 2):
        raise SystemExit(__doc__)
    tree = PROVISIONING if "--machines" in sys.argv else STUDIO
    try:
        source, target = urls if len(urls) == 2 else (urls[0], url_of_settings(tree))
        copied = asyncio.run(copy(source, target, tree))
    except SoundstageError as error:
        raise SystemExit(str(error)) from error
    if not copied:
        print("The rows were copied before.")
    for name, count in copied.items():
        print(f"{count:8} {name}")


if __name__ == "__main__":
    main()
