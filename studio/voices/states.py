"""States of a cloned voice. One function moves it; the docs draw this table."""

from __future__ import annotations

from enum import StrEnum

from soundstage.errors import Conflict
from soundstage.transitions import Transitions


class VoiceState(StrEnum):
    """sending: its sample is on the way, or was when the process ended; removed: it may not speak."""

    SENDING = "sending"
    READY = "ready"
    REMOVED = "removed"


VOICE_TRANSITIONS = Transitions(
    VoiceState,
    {
        VoiceState.SENDING: {VoiceState.READY, VoiceState.REMOVED},
        VoiceState.READY: {VoiceState.REMOVED},
    },
    lambda current, target: Conflict(
        "voice.bad_transition",
        f"A voice that is {current} cannot become {target}.",
        "Read it again: it has been changed meanwhile.",
    ),
)
move = VOICE_TRANSITIONS.move
