"""Cloned voices, each with the consent of its speaker."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cloned_voices",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("base_url", sa.String(length=500), nullable=False),
        sa.Column("service", sa.String(length=500), nullable=False),
        sa.Column("api_key_env", sa.String(length=128), nullable=True),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("voice_id", sa.String(length=200), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("consent_id", sa.String(length=40), nullable=False),
        sa.Column("own_consent", sa.Boolean(), nullable=False),
        sa.Column("sample_sha256", sa.String(length=71), nullable=True),
        sa.Column("sample_bytes", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tenant", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cloned_voices")),
    )
    for column in ("consent_id", "service"):
        op.create_index(op.f(f"ix_cloned_voices_{column}"), "cloned_voices", [column])


def downgrade() -> None:
    op.drop_table("cloned_voices")
