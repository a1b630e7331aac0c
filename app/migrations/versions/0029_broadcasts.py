"""Broadcasts, which go on with another server, or after a restart."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "broadcasts",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("target", sa.String(length=80), nullable=False),
        sa.Column("persona_id", sa.String(length=80), nullable=False),
        sa.Column("principal_id", sa.String(length=80), nullable=False),
        sa.Column("principal_name", sa.String(length=100), nullable=False),
        sa.Column("principal_kind", sa.String(length=20), nullable=False),
        sa.Column("principal_role", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("server", sa.String(length=40), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(
            ["id"],
            ["agent_sessions.id"],
            name=op.f("fk_broadcasts_id_agent_sessions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_broadcasts")),
        sa.UniqueConstraint("target", name=op.f("uq_broadcasts_target")),
    )


def downgrade() -> None:
    op.drop_table("broadcasts")
