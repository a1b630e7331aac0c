"""Runs Alembic's commands; the `env.py` of each tree of migrations calls it with its tables."""

from __future__ import annotations

from typing import Literal

from alembic import context
from sqlalchemy import Connection, MetaData

from soundstage.database.base import UtcDateTime


def plain_types(kind: str, item: object, _: object) -> str | Literal[False]:
    """Migrations are history: they name SQLAlchemy's own types, not classes of ours that may change."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def run_migrations(tables: MetaData) -> None:
    """`app.migrating` hands the open connection over in `config.attributes`."""
    connection = context.config.attributes.get("connection")
    if not isinstance(connection, Connection):
        raise RuntimeError(
            "migrations are started by `soundstage migrate`, which opens the database for them"
        )
    context.configure(
        connection=connection,
        target_metadata=tables,
        compare_type=True,
        # SQLite's DDL is transactional once BEGIN is sent, which `Database` does.
        transactional_ddl=True,
        render_item=plain_types,
        # SQLite cannot alter a table in place; Alembic copies it instead.
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()
