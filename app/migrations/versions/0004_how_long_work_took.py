"""How long work took, and by when a render is wanted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "farm_runs",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("stage", sa.String(length=100), nullable=False),
        sa.Column("work", sa.Double(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_farm_runs")),
    )
    with op.batch_alter_table("farm_runs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_farm_runs_stage"), ["stage"], unique=False)
    with op.batch_alter_table("renders", schema=None) as batch_op:
        batch_op.add_column(sa.Column("ready_by", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("forecast", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("renders", schema=None) as batch_op:
        batch_op.drop_column("forecast")
        batch_op.drop_column("ready_by")
    with op.batch_alter_table("farm_runs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_farm_runs_stage"))
    op.drop_table("farm_runs")
