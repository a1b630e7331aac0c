"""Database migrations: one ordered history over the tables of all rooms."""
