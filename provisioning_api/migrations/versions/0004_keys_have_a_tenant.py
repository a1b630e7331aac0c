"""keys are of a tenant; those before were all of the first one"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    tenant = sa.Column("tenant", sa.String(length=80), nullable=False, server_default="default")
    op.add_column("api_keys", tenant)


def downgrade() -> None:
    op.drop_column("api_keys", "tenant")
