"""Run by Alembic for every command on the provisioning database."""

from provisioning_api.tables import provisioning_tables
from soundstage.database.alembic_environment import run_migrations

run_migrations(provisioning_tables())
