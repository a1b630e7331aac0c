"""The verbs of the worker: a spec goes in, finished files come out; the CLI calls them, one per module.

Nothing is imported here, so that `avatar doctor` runs where the media libraries are missing.
"""
