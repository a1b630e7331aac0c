"""The `avatar` command: one verb per run, progress on standard output, an exit code that tells."""

from __future__ import annotations

import signal
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """The entry point of the installed program; see `avatar.cli.main` for the exit codes."""
    # Until a verb runs there is nothing to tidy: Ctrl-C ends the program at once and in silence.
    # While a verb runs, `Stop` has the signals.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    from avatar.cli.main import main as run_verb

    return run_verb(argv)


__all__ = ["main"]
