"""Brings a database to the tables of this version; called at every start and by `soundstage migrate`."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData

from app.tables import all_tables
from provisioning_api.tables import provisioning_tables
from soundstage.database import Database
from soundstage.errors import Conflict


@dataclass(frozen=True, slots=True)
class Tree:
    """One database's history: the package that `migrations` lies in, its tables, the name of its lock."""

    package: str
    tables: Callable[[], MetaData]
    lock_file: str


LAST_WITH_ALL_MIGRATIONS = "commit c079f5f2 (30 November 2026)"
"""The last state of the repository that upgrades databases from before the baselines."""

STUDIO = Tree("app", all_tables, "migrate.lock")
PROVISIONING = Tree("provisioning_api", provisioning_tables, "migrate-provisioning.lock")


@dataclass(frozen=True, slots=True)
class Migrated:
    """`before` is None for an empty database."""

    before: str | None
    after: str | None

    @property
    def changed(self) -> bool:
        return self.before != self.after


def alembic_config(connection: Connection | None = None, tree: Tree = STUDIO) -> Config:
    config = Config()
    config.set_main_option("script_location", str(files(tree.package) / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


@cache
def revisions(tree: Tree = STUDIO) -> tuple[str, ...]:
    """Returns all revisions, the oldest first. Each file of the tree runs for it, so once in a process."""
    script = ScriptDirectory.from_config(alembic_config(tree=tree))
    return tuple(revision.revision for revision in reversed(list(script.walk_revisions())))


def newest_revision(tree: Tree = STUDIO) -> str:
    """Returns the revision that this version of Soundstage works with."""
    return revisions(tree)[-1]


async def current_revision(database: Database) -> str | None:
    async with database.session() as session:
        return await (await session.connection()).run_sync(_revision_of)


async def migrate(database: Database, state_dir: Path, target: str = "head", tree: Tree = STUDIO) -> Migrated:
    """Upgrade, one process at a time and in one transaction: one that is cut off has changed nothing.

    Raises Conflict for a database of a newer version, or from before the baseline.
    """
    async with _alone(state_dir / tree.lock_file):
        before = await current_revision(database)
        if before is not None and before not in revisions(tree):
            refuse_before_baseline(before, tree)
            raise Conflict(
                "database.too_new",
                f"The database is at revision {before}, which this version of Soundstage does not know.",
                "Install the version that wrote it, or restore a backup.",
            )
        after = newest_revision(tree) if target == "head" else target
        if before != after:
            async with database.schema_change() as connection:
                await connection.run_sync(lambda sync: command.upgrade(alembic_config(sync, tree), target))
        return Migrated(before, after)


def refuse_before_baseline(revision: str | None, tree: Tree = STUDIO) -> None:
    """Raises Conflict for a revision whose migrations are no longer there."""
    baseline = revisions(tree)[0]
    if revision is not None and revision < baseline:
        raise Conflict(
            "database.before_baseline",
            f"The database is at revision {revision}; this version upgrades from {baseline} on.",
            f"Run `soundstage migrate` of {LAST_WITH_ALL_MIGRATIONS} first; for a backup, also "
            "`soundstage restore` and `soundstage backup`.",
        )


@asynccontextmanager
async def _alone(lock: Path) -> AsyncIterator[None]:
    """Two commands that start together on a new installation must not both create its tables."""
    descriptor = await asyncio.to_thread(_locked, lock)
    try:
        yield
    finally:
        os.close(descriptor)


def _locked(lock: Path) -> int:
    lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def _revision_of(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
