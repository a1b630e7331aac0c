"""The `avatar` command: one verb per run, progress on standard output, an exit code that tells."""

from avatar.cli.main import main

__all__ = ["main"]
