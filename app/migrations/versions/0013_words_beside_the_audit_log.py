"""Words stand beside a line of the audit log, where they can be forgotten; lines from before keep theirs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("audit_lines", schema=None) as batch_op:
        batch_op.add_column(sa.Column("words", sa.JSON(none_as_null=True), nullable=True))
    op.create_table(
        "memory_tellings",
        sa.Column("memory_id", sa.String(length=40), nullable=False),
        sa.Column("session_id", sa.String(length=40), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["memory_id"], ["memories.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("memory_id", "session_id", "turn"),
    )


def downgrade() -> None:
    op.drop_table("memory_tellings")
    with op.batch_alter_table("audit_lines", schema=None) as batch_op:
        batch_op.drop_column("words")
