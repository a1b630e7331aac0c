"""Answers what the reader understands: makes calls, asks and replies; called by the Brain."""
