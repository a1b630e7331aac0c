"""Checks a spec before it becomes a render: limits, files, consent, and voices that the operator allows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from avatar.spec import LOCAL_VOICES, Face, LipsyncSpec, RenderSpec, Scene, Speaker, Voice
from sqlalchemy.ext.asyncio import AsyncSession

from soundstage.errors import Forbidden, Invalid
from soundstage.http import NO_LISTENERS, OwnListeners
from soundstage.settings import LimitSettings
from studio.consents.service import ConsentService
from studio.personas.library import PersonaLibrary
from studio.pronunciations.service import pronunciations_of

BeforeInsert = Callable[[AsyncSession], Awaitable[None]]
"""Runs first in the transaction that queues a render: what it writes stands or falls with the render."""
Spec = TypeVar("Spec", bound=RenderSpec | LipsyncSpec)
Endpoint = tuple[str, str, str | None]
"""Kind, base URL and the variable that holds the key."""


@dataclass(frozen=True, slots=True)
class Admission:
    """`services` are the speech services of the settings, as endpoints; none of `listeners` is one."""

    consents: ConsentService
    library: PersonaLibrary
    limits: LimitSettings
    services: frozenset[Endpoint] = frozenset()
    listeners: OwnListeners = NO_LISTENERS

    async def admit(self, session: AsyncSession, spec: Spec) -> Spec:
        """Returns the spec with consents as recorded and the pronunciations of the installation; raises what
        forbids it.
        """
        if isinstance(spec, LipsyncSpec):
            return spec.model_copy(update={"face": await self.consents.stamp_face(session, spec.face)})
        self._check_size(spec)
        scenes = []
        for scene in spec.scenes:
            cast = [await self._admit_speaker(session, one) for one in scene.all_speakers]
            scenes.append(scene.with_cast(cast))
        words = await pronunciations_of(session, spec)
        return spec.model_copy(update={"scenes": tuple(scenes), "pronunciation": words})

    async def _admit_speaker(self, session: AsyncSession, speaker: Speaker) -> Speaker:
        self.check_voice(speaker.voice)
        face = await self.consents.stamp_face(session, speaker.face)
        voice = await self.consents.stamp_voice(session, speaker.voice)
        return speaker.model_copy(update={"face": face, "voice": voice})

    def check_voice(self, voice: Voice) -> None:
        """An HTTP voice sends the script and a key to its URL, so only the operator may say where that is."""
        if isinstance(voice, LOCAL_VOICES) or endpoint_of(voice) in self.operator_services():
            return
        raise Forbidden(
            "voice.service_not_allowed",
            f"The speech service {voice.base_url} is not one that the operator has set up.",
            "Use a persona that has this voice, or set services.tts_openai or services.tts_qwen.",
        )

    def operator_services(self) -> set[Endpoint]:
        """Speech services of the settings, and those of the operator's personas."""
        shipped = (entry.persona for entry in self.library.entries() if entry.origin == "shipped")
        voices = [persona.voice for persona in shipped if persona is not None]
        return {
            *self.services,
            *(endpoint_of(voice) for voice in voices if not isinstance(voice, LOCAL_VOICES)),
        }

    def _check_size(self, spec: RenderSpec) -> None:
        if len(spec.scenes) > self.limits.scenes:
            raise Invalid(
                "spec.too_many_scenes",
                f"The video has {len(spec.scenes)} scenes; the limit is {self.limits.scenes}.",
                "Make several videos of it, or raise limits.scenes.",
            )
        longest = max(len(scene.script or "") for scene in spec.scenes)
        if longest > self.limits.script_chars:
            raise Invalid(
                "script.too_long",
                f"A script has {longest} characters; the limit is {self.limits.script_chars}.",
                "Split it into scenes, or raise limits.script_chars.",
            )


def endpoint_of(voice: Voice) -> Endpoint:
    if isinstance(voice, LOCAL_VOICES):
        return (voice.kind, "", None)
    return (voice.kind, voice.base_url.rstrip("/"), voice.api_key_env)


def variables_in(voice: Voice) -> tuple[str, ...]:
    """The variable that holds the key of its service. Admitted voices name only those the operator chose."""
    name = getattr(voice, "api_key_env", None)
    return (name,) if name else ()


def variables_of_scene(scene: Scene) -> tuple[str, ...]:
    """Returns the variables of all its voices."""
    voices = (one.voice for one in scene.all_speakers)
    return tuple(sorted({name for voice in voices for name in variables_in(voice)}))


def voices_in(spec: RenderSpec | LipsyncSpec) -> list[Voice]:
    if isinstance(spec, LipsyncSpec):
        return []
    return [one.voice for scene in spec.scenes for one in scene.all_speakers]


def consents_in(spec: RenderSpec | LipsyncSpec) -> set[str]:
    """Ids of the consents behind its faces and voices."""
    if isinstance(spec, LipsyncSpec):
        parties: list[Face | Voice] = [spec.face]
    else:
        casts = (one for scene in spec.scenes for one in scene.all_speakers)
        parties = [party for one in casts for party in (one.face, one.voice)]
    found = (getattr(party, "consent", None) for party in parties)
    return {consent.id for consent in found if consent is not None}
