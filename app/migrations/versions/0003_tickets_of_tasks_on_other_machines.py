"""Tickets of tasks on other machines."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "farm_tickets",
        sa.Column("task_id", sa.String(length=200), nullable=False),
        sa.Column("job_id", sa.String(length=250), nullable=False),
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("task", sa.JSON(), nullable=False),
        sa.Column("order", sa.JSON(), nullable=False),
        sa.Column("variables", sa.JSON(), nullable=False),
        sa.Column("end", sa.JSON(), nullable=True),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_farm_tickets")),
    )
    with op.batch_alter_table("farm_tickets", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_farm_tickets_job_id"), ["job_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("farm_tickets", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_farm_tickets_job_id"))
    op.drop_table("farm_tickets")
