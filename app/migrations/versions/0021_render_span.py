"""Renders: the span of the request, which the spans of the render continue from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("renders") as table:
        table.add_column(sa.Column("parent_span_id", sa.String(length=16), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("renders") as table:
        table.drop_column("parent_span_id")
