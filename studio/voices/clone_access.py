"""Checks that a cloned voice of the studio may be used; called wherever voices are used.

A caller who knows the name of a clone at its service could use it as any other voice. So clones are looked up
by service and name, whatever the request says about the voice.
"""

from __future__ import annotations

from collections.abc import Iterable

from avatar.spec import OpenAIVoice, QwenVoice, Voice
from sqlalchemy.ext.asyncio import AsyncSession

from soundstage.errors import Conflict, Forbidden, Invalid, NotFound
from studio.voices.addresses import root_of
from studio.voices.models import ClonedVoice
from studio.voices.repository import Voices
from studio.voices.states import VoiceState


def name_at_service(voice: OpenAIVoice | QwenVoice) -> str:
    return voice.voice_id if isinstance(voice, QwenVoice) else voice.voice


async def usable_clone(session: AsyncSession, voice: Voice) -> ClonedVoice | None:
    """Returns the record of a cloned voice that may be used; None for a voice that is no clone of the studio.

    Raises `voice.removed`, `voice.not_ready`, and `voice.not_found` for one of another tenant.
    """
    if not isinstance(voice, OpenAIVoice | QwenVoice):
        return None
    voices, name = Voices(session), name_at_service(voice)
    try:
        service = root_of(voice.base_url)
    except Invalid:
        # An invalid address is reported by the speech call.
        return None
    own = await voices.at_service(service, name)
    if not own:
        if name.lower() in await voices.of_other_tenants(service):
            raise NotFound(
                "voice.not_found",
                f"There is no cloned voice {name!r}.",
                "`soundstage voices list` lists them.",
            )
        return None
    row = own[0]  # Active ones come first, then the newest.
    match VoiceState(row.state):
        case VoiceState.REMOVED:
            raise Forbidden(
                "voice.removed",
                f"The cloned voice {row.name} was removed"
                + (f" on {row.removed_at:%Y-%m-%d}." if row.removed_at else "."),
                "Use another voice, or add it anew with the consent of its speaker.",
            )
        case VoiceState.SENDING:
            raise Conflict(
                "voice.not_ready",
                f"It is not known yet whether the speech service accepted the voice {row.name}.",
                "Wait a moment; if it stays so, remove the voice and add it again.",
            )
        case VoiceState.READY:
            return row


async def require_usable_clones(session: AsyncSession, voices: Iterable[Voice]) -> None:
    """Checks all voices of a render when its work begins: one may have been removed while it waited."""
    for voice in voices:
        await usable_clone(session, voice)
