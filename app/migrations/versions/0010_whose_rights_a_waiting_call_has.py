"""A call that waits keeps the role of whoever asked without a key, as `soundstage mcp --role editor` does."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("approvals", schema=None) as batch_op:
        role = sa.Column("requester_role", sa.String(length=40), nullable=False, server_default="viewer")
        batch_op.add_column(role)


def downgrade() -> None:
    with op.batch_alter_table("approvals", schema=None) as batch_op:
        batch_op.drop_column("requester_role")
