"""Cloned voices: a sample goes to a speech service with its speaker's recorded consent, and goes with it."""
