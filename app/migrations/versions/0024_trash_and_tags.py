"""Projects and renders: their tags, and since when they are in the trash."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

TABLES = ("projects", "renders")


def upgrade() -> None:
    for name in TABLES:
        with op.batch_alter_table(name) as table:
            # The default is for the rows that are there; new ones bring their tags.
            table.add_column(sa.Column("tags", sa.JSON(), nullable=False, server_default="[]"))
            table.add_column(sa.Column("trashed_at", sa.DateTime(timezone=True), nullable=True))
            table.create_index(op.f(f"ix_{name}_trashed_at"), ["trashed_at"])
        with op.batch_alter_table(name) as table:
            table.alter_column("tags", server_default=None)


def downgrade() -> None:
    for name in reversed(TABLES):
        with op.batch_alter_table(name) as table:
            table.drop_index(op.f(f"ix_{name}_trashed_at"))
            table.drop_column("trashed_at")
            table.drop_column("tags")
