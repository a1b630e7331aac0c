"""Rules that act on discovered machines in place of a person, each with a name."""
