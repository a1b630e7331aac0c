"""The long-term memory: rows in the database and an index over their meaning, per owner."""
