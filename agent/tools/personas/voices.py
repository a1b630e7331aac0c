"""Compares the voices of presenters by how high they are, as far as their engines say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from avatar.spec import EspeakVoice, FliteVoice, Voice

from studio.personas.schemas import Persona

_FLITE_HZ: Mapping[str, float] = MappingProxyType({"slt": 170.0, "rms": 103.0, "awb": 120.0})
"""The mean fundamental frequency of flite's voices as they are."""
_FEMALE_HZ, _MALE_HZ = 190.0, 110.0
"""That of espeak-ng's variants, at the pitch of 50."""
_BETWEEN_HZ = 145.0
"""Higher voices are taken for female ones."""


def height_of(voice: Voice) -> float | None:
    """Returns about how high a voice is, in hertz; None for engines that do not say it."""
    match voice:
        case FliteVoice():
            return _FLITE_HZ[voice.voice] * 2 ** (voice.pitch / 12)
        case EspeakVoice():
            hertz = _FEMALE_HZ if (voice.variant or "").startswith("f") else _MALE_HZ
            return hertz * (0.5 + voice.pitch / 100)
        case _:
            return None


def is_high(voice: Voice) -> bool | None:
    """Returns whether a voice is a high one; None for engines that do not say it."""
    height = height_of(voice)
    return None if height is None else height >= _BETWEEN_HZ


def with_voice(personas: Sequence[Persona], kind: str, than: Persona | None = None) -> list[Persona]:
    """Returns the presenters whose voice is of a kind, the one that is it most first: `male` and `deep` ones
    are low, `female` and `high` ones are not. A `deep` or `high` one is compared with that of `than`.
    """
    heights = {one.id: height for one in personas if (height := height_of(one.voice)) is not None}
    limit = _BETWEEN_HZ
    if than is not None and kind in ("deep", "high"):
        limit = heights.get(than.id, limit)
    is_low = kind in ("male", "deep")
    found = [
        one
        for one in personas
        if one.id in heights
        and (than is None or one.id != than.id)
        and (kind == "other" or (heights[one.id] < limit) is is_low)
    ]
    return sorted(found, key=lambda one: heights[one.id], reverse=not is_low)
