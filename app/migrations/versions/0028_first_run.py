"""First runs: the chosen presenter, and steps that were marked as done or skipped."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "first_runs",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("presenter", sa.String(length=80), nullable=True),
        sa.Column("marks", sa.JSON(), nullable=False),
        sa.Column("dismissed", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_first_runs")),
        sa.UniqueConstraint("tenant", name=op.f("uq_first_runs_tenant")),
    )


def downgrade() -> None:
    op.drop_table("first_runs")
