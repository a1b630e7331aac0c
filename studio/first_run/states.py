"""The steps of the first run, and the states of each."""

from __future__ import annotations

from enum import StrEnum


class Step(StrEnum):
    """In the order in which they are shown."""

    DOCTOR = "doctor"
    PRESENTER = "presenter"
    VOICE = "voice"
    FILM = "film"
    MODEL = "model"
    GPU = "gpu"
    MACHINES = "machines"
    KEYS = "keys"


class StepState(StrEnum):
    OPEN = "open"
    DONE = "done"
    SKIPPED = "skipped"


NEEDED = (Step.DOCTOR, Step.PRESENTER, Step.VOICE, Step.FILM)
"""Without the others films are made, too."""
MARKED = (Step.DOCTOR, Step.VOICE)
"""Nothing that exists tells whether these are done, until there is a film."""
