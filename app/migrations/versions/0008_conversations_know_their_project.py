"""Conversations, and calls that wait for people, know the project that was spoken of last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("agent_sessions", "approvals"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(sa.Column("last_project_id", sa.String(length=40), nullable=True))


def downgrade() -> None:
    for table in ("approvals", "agent_sessions"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_column("last_project_id")
