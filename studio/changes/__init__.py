"""Batches of changes to a project and its scenes: all of them or none, on the revision that was read."""
