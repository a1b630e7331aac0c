"""Scenes of a project: script, speaker and background."""
