"""Scenes of a project: what is said, by whom, over what."""
