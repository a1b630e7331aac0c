"""Words for how fast is spoken: the argument that the tools of videos and scenes share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from avatar.spec import EspeakVoice, FliteVoice, Voice

Pace = Literal["slowest", "slow", "normal", "fast", "fastest"]
PACE = "How fast is spoken, beside the usual pace of the voice: one of slowest, slow, normal, fast, fastest."
FACTORS: Mapping[Pace, float] = MappingProxyType(
    {"slowest": 0.7, "slow": 0.85, "normal": 1.0, "fast": 1.15, "fastest": 1.35}
)
SLOWEST_WPM, FASTEST_WPM = 80, 450
_FLITE_WPM = 175
_PROSODY = re.compile(r"\s*<prosody rate=\"\d+%\">(.*)</prosody>\s*", re.DOTALL)


def rate_of(voice: Voice, pace: Pace) -> int | None:
    """Returns the words a minute of a built-in voice at a pace; None for other voices, and as it is."""
    if pace == "normal":
        return None
    match voice:
        case FliteVoice():
            usual = voice.pace * _FLITE_WPM
        case EspeakVoice():
            usual = voice.rate_wpm
        case _:
            return None
    return round(min(max(usual * FACTORS[pace], SLOWEST_WPM), FASTEST_WPM))


def without_pace(script: str) -> str:
    """Returns a script without the pace of the whole, for people to read."""
    whole = _PROSODY.fullmatch(script)
    return whole[1] if whole and "</prosody>" not in whole[1] else script


def with_pace(script: str, pace: Pace) -> str:
    """Returns a script that any voice speaks at a pace, by SSML; an earlier pace of the whole is replaced."""
    words = without_pace(script)
    return words if pace == "normal" else f'<prosody rate="{FACTORS[pace]:.0%}">{words}</prosody>'
