"""States of a cloned voice. One function moves it; the docs draw this table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from soundstage.errors import Conflict


class VoiceState(StrEnum):
    """sending: its sample is on the way, or was when the process ended; removed: it may not speak."""

    SENDING = "sending"
    READY = "ready"
    REMOVED = "removed"


VOICE_TRANSITIONS: Mapping[VoiceState, frozenset[VoiceState]] = {
    VoiceState.SENDING: frozenset({VoiceState.READY, VoiceState.REMOVED}),
    VoiceState.READY: frozenset({VoiceState.REMOVED}),
    VoiceState.REMOVED: frozenset(),
}


def move(current: VoiceState, target: VoiceState) -> VoiceState:
    """The new state; raises `voice.bad_transition` for a move that the table does not hold."""
    if target not in VOICE_TRANSITIONS[current]:
        raise Conflict(
            "voice.bad_transition",
            f"A voice that is {current} cannot become {target}.",
            "Read it again: it has been changed meanwhile.",
        )
    return target
