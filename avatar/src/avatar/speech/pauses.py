"""Silences phones where the sound pauses; used by `timed`."""

from __future__ import annotations

from collections.abc import Sequence

from avatar.speech.sound import Levels, quiet_spans
from avatar.tracks import Phone

SHORT_PAUSE_MS = 100


def with_pauses(phones: Sequence[Phone], levels: Levels, length_ms: int) -> tuple[Phone, ...]:
    """Fill the gaps between phones with silence, and silence every phone where the sound pauses for 100 ms.

    Recognisers stretch the last sound of a phrase over the pause behind it; the mouth must not.
    """
    pauses = iter([*quiet_spans(levels, SHORT_PAUSE_MS), (length_ms + 1, length_ms + 1)])
    pause = next(pauses)
    result: list[Phone] = []

    def add(ipa: str, start: int, end: int) -> None:
        if end <= start:
            return
        if not ipa and result and not result[-1].ipa:
            result[-1] = Phone("", result[-1].start_ms, end)
        else:
            result.append(Phone(ipa, start, end))

    at = 0
    for phone in phones:
        start, end = max(phone.start_ms, at), min(phone.end_ms, length_ms)
        add("", at, start)
        at = max(at, start)
        while at < end:
            while pause[1] <= at:
                pause = next(pauses)
            if pause[0] <= at:
                add("", at, min(pause[1], end))
                at = min(pause[1], end)
            else:
                add(phone.ipa, at, min(pause[0], end))
                at = min(pause[0], end)
    add("", at, length_ms)
    return tuple(result)
