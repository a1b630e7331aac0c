"""Keys, and all that the studio holds, are of a tenant; what was there before is of the first one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

OWNED = (
    "api_keys",
    "assets",
    "consents",
    "idempotency_keys",
    "project_versions",
    "publications",
    "publishing_pending_consents",
    "render_outputs",
    "render_segments",
    "renders",
    "scenes",
    "segments",
    "webhook_deliveries",
    "webhook_tries",
    "webhooks",
)
NAMED = (("projects", "slug"), ("publishing_accounts", "channel_id"))
"""Whose names are taken once in each tenant, no longer once for all."""
KEYED = (("blob_references", ("sha256", "owner", "role")), ("derivations", ("owner", "source")))
"""Whose keys hold names that another tenant may have as well."""


def upgrade() -> None:
    for table in OWNED:
        op.add_column(table, _tenant())
    for table, column in NAMED:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(_tenant())
            batch_op.drop_constraint(f"uq_{table}_{column}", type_="unique")
            batch_op.create_unique_constraint(f"uq_{table}_tenant_{column}", ["tenant", column])
    for table, columns in KEYED:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(_tenant())
            batch_op.drop_constraint(f"pk_{table}", type_="primary")
            batch_op.create_primary_key(f"pk_{table}", ["tenant", *columns])


def downgrade() -> None:
    for table, columns in KEYED:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_constraint(f"pk_{table}", type_="primary")
            batch_op.create_primary_key(f"pk_{table}", list(columns))
            batch_op.drop_column("tenant")
    for table, column in NAMED:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_constraint(f"uq_{table}_tenant_{column}", type_="unique")
            batch_op.create_unique_constraint(f"uq_{table}_{column}", [column])
            batch_op.drop_column("tenant")
    for table in OWNED:
        op.drop_column(table, "tenant")


def _tenant() -> sa.Column[str]:
    return sa.Column("tenant", sa.String(length=80), nullable=False, server_default="default")
