"""References: the owners of each blob, and the sources that things are derived from."""
