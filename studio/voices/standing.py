"""Checks that a cloned voice of ours may speak; called wherever voices are used.

Whoever knows what a clone is called at its service could ask for it as for any voice. So it is looked up by
service and name, and what the caller says of it does not count.
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


async def record_of(session: AsyncSession, voice: Voice) -> ClonedVoice | None:
    """The record of a cloned voice that may speak; None for a voice that is none of ours.

    Raises `voice.removed`, `voice.not_ready`, and `voice.not_found` for one of another tenant.
    """
    if not isinstance(voice, OpenAIVoice | QwenVoice):
        return None
    voices, name = Voices(session), name_at_service(voice)
    try:
        service = root_of(voice.base_url)
    except Invalid:
        # Whoever speaks with it tells that its address is none.
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
    row = own[0]
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
                f"It is not known yet whether the speech service took the voice {row.name}.",
                "Wait a moment; if it stays so, remove the voice and add it again.",
            )
        case VoiceState.READY:
            return row


async def check_voices(session: AsyncSession, voices: Iterable[Voice]) -> None:
    """Again when the work begins: a voice may have been removed while the render waited."""
    for voice in voices:
        await record_of(session, voice)
