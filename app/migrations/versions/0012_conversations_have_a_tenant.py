"""A conversation is of a principal of a tenant; those before were all of the first one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("agent_sessions", schema=None) as batch_op:
        tenant = sa.Column("tenant", sa.String(length=80), nullable=False, server_default="default")
        batch_op.add_column(tenant)


def downgrade() -> None:
    with op.batch_alter_table("agent_sessions", schema=None) as batch_op:
        batch_op.drop_column("tenant")
