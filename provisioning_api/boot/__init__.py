"""Answers network boots: a script for the machine's state, and signed artefacts."""
