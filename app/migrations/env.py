"""Run by Alembic for every command. `app.migrating` hands the open connection over in `config.attributes`."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from app.tables import all_tables


def run() -> None:
    connection = context.config.attributes.get("connection")
    if not isinstance(connection, Connection):
        raise RuntimeError(
            "migrations are started by `soundstage migrate`, which opens the database for them"
        )
    context.configure(
        connection=connection,
        target_metadata=all_tables(),
        compare_type=True,
        # SQLite cannot alter a table in place; Alembic copies it instead.
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


run()
