"""Log lines in the form the agent reads from a plugin's stderr (hclog JSON); used by every part of this
plugin.

A write never raises and never waits: when the agent was killed the pipe has no reader, and an exception or a
full pipe at that moment is what makes an orphan of a plugin.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

_STDERR = 2


def never_wait() -> None:
    """Let lines be lost rather than wait for a reader; called once at the start of the process."""
    os.set_blocking(_STDERR, False)


def log(level: str, message: str, **fields: str | int | float) -> None:
    """One line at `level` (debug, info, warn, error), with fields that the agent shows as name=value."""
    line = json.dumps(
        {
            "@level": level,
            "@message": message,
            "@timestamp": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            **fields,
        }
    )
    try:
        os.write(_STDERR, line.encode() + b"\n")
    except OSError:
        return  # the pipe has no reader any more
