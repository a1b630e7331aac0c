"""credentials are renewed, and engines are told of their end"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("credentials", schema=None) as batch_op:
        batch_op.add_column(sa.Column("generation", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.drop_constraint(batch_op.f("uq_credentials_enrolment_id_kind"), type_="unique")
        batch_op.create_unique_constraint(
            batch_op.f("uq_credentials_enrolment_id_kind_generation"), ["enrolment_id", "kind", "generation"]
        )
    with op.batch_alter_table("credentials", schema=None) as batch_op:
        batch_op.alter_column("generation", server_default=None)


def downgrade() -> None:
    op.execute("DELETE FROM credentials WHERE generation > 0")
    with op.batch_alter_table("credentials", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("uq_credentials_enrolment_id_kind_generation"), type_="unique")
        batch_op.create_unique_constraint(
            batch_op.f("uq_credentials_enrolment_id_kind"), ["enrolment_id", "kind"]
        )
        batch_op.drop_column("withdrawn_at")
        batch_op.drop_column("generation")
