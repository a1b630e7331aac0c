"""Run by Alembic for every command on the studio's database."""

from app.tables import all_tables
from soundstage.database.alembic_environment import run_migrations

run_migrations(all_tables())
