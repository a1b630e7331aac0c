"""The command `soundstage`."""

from __future__ import annotations

import gc
import signal


def main() -> None:
    """The entry point of the installed program."""
    # Loading a command takes up to a second, and until one runs there is nothing to tidy: Ctrl-C ends the
    # program at once and in silence. A command that has something to tidy sets its own handler (`state.run`).
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    # Imports make objects that stay: looking for cycles among them took a fifth of a command's start.
    gc.set_threshold(20_000, 10, 10)

    from app.cli.main import main as run_command

    run_command()


__all__ = ["main"]
