"""SQLAlchemy 2 async: SQLite in WAL mode is the embedded default, PostgreSQL by URL."""

from soundstage.database.backup import backup_sqlite, check_sqlite, restore_sqlite
from soundstage.database.base import Base, UtcDateTime, new_id, utcnow
from soundstage.database.engine import Database, in_transaction, overwriting, when_committed

__all__ = [
    "Base",
    "Database",
    "UtcDateTime",
    "backup_sqlite",
    "check_sqlite",
    "in_transaction",
    "new_id",
    "overwriting",
    "restore_sqlite",
    "utcnow",
    "when_committed",
]
