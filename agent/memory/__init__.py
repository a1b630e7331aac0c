"""What people asked to be remembered: rows in the database, an index over their meaning, per owner."""
