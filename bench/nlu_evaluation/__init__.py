"""Measures how well sentences are understood; see README.md."""
