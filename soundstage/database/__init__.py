"""SQLAlchemy 2 async: SQLite in WAL mode is the embedded default, PostgreSQL by URL."""

from soundstage.database.backup import backup_sqlite, check_sqlite, restore_sqlite
from soundstage.database.base import Base, UtcDateTime, new_id, utcnow
from soundstage.database.engine import (
    Database,
    enable_secure_delete,
    in_transaction,
    on_commit,
    patience,
)
from soundstage.database.postgresql import OUTAGES
from soundstage.database.server_time import LocalLeases, lease_end, server_time

__all__ = [
    "OUTAGES",
    "Base",
    "Database",
    "LocalLeases",
    "UtcDateTime",
    "backup_sqlite",
    "check_sqlite",
    "enable_secure_delete",
    "in_transaction",
    "lease_end",
    "new_id",
    "on_commit",
    "patience",
    "restore_sqlite",
    "server_time",
    "utcnow",
]
