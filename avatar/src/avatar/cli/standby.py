"""Waits, with libraries loaded, for one order on standard input: `standby` loads those for speaking,
`standby still` those for pictures of scenes, too.

The order is a JSON line: `arguments` of this program, the `folder` to run in, and the `environment`. Who
starts it is `farm.local.standby`, for answers that a person waits for.
"""

from __future__ import annotations

import json
import os
import sys


def wait_for_order(kind: str = "") -> list[str] | None:
    """Prints `ready`, and returns the arguments of the order; None at the end of standard input."""
    if kind == "still":
        _load_pictures()
    import avatar.cli.speaking
    import avatar.pipeline.context
    import avatar.speech.espeak
    import avatar.speech.flite
    import avatar.speech.polish
    import avatar.timing.track
    import avatar.timing.visemes  # noqa: F401

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    line = sys.stdin.readline()
    if not line.strip():
        return None
    order = json.loads(line)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, sys.stdin.fileno())
    os.close(nothing)
    arguments: list[str] = order["arguments"]
    return arguments


def _load_pictures() -> None:
    import cv2

    import avatar.cli.verbs
    import avatar.engines.rig
    import avatar.pipeline.still  # noqa: F401

    cv2.setNumThreads(1)
