"""which keys report as a machine, and which challenges were used"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "machine_keys",
        sa.Column("machine_id", sa.String(length=40), nullable=False),
        sa.Column("agent_key", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=45), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reports", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["machine_id"],
            ["machines.id"],
            name=op.f("fk_machine_keys_machine_id_machines"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("machine_id", "agent_key", name=op.f("pk_machine_keys")),
    )
    op.execute(
        "INSERT INTO machine_keys (machine_id, agent_key, source, first_at, last_at, reports) "
        "SELECT id, agent_key, 'unknown', created_at, seen_at, 1 FROM machines WHERE agent_key IS NOT NULL"
    )
    op.create_table(
        "used_challenges",
        sa.Column("nonce", sa.String(length=16), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("nonce", name=op.f("pk_used_challenges")),
    )
    op.create_index(op.f("ix_used_challenges_ends_at"), "used_challenges", ["ends_at"])


def downgrade() -> None:
    op.drop_table("used_challenges")
    op.drop_table("machine_keys")
