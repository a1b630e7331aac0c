"""What readers may see of consents: who agreed to what is for those who may read consents. Routes ask."""

from __future__ import annotations

from typing import TypeVar

from avatar.spec import Consent, Face, LipsyncSpec, RenderSpec, VideoFace, Voice

from policy import Principal
from studio.personas.schemas import Persona

NOT_SHOWN = "(on record, not shown)"

Party = TypeVar("Party", Face, VideoFace, Voice)
Spec = TypeVar("Spec", RenderSpec, LipsyncSpec, RenderSpec | LipsyncSpec)


def shown_to(principal: Principal, persona: Persona) -> Persona:
    """The persona as `principal` may see it; without `consent:read` only that there is a consent."""
    if principal.may("consent:read"):
        return persona
    return persona.model_copy(update={"face": _veiled(persona.face), "voice": _veiled(persona.voice)})


def voice_shown_to(principal: Principal, voice: Voice) -> Voice:
    """The same for a voice by itself."""
    return voice if principal.may("consent:read") else _veiled(voice)


def spec_shown_to(principal: Principal, spec: Spec) -> Spec:
    """The same for what a video is made of."""
    if principal.may("consent:read"):
        return spec
    if isinstance(spec, LipsyncSpec):
        return spec.model_copy(update={"face": _veiled(spec.face)})
    scenes = tuple(
        scene.model_copy(update={"face": _veiled(scene.face), "voice": _veiled(scene.voice)})
        for scene in spec.scenes
    )
    return spec.model_copy(update={"scenes": scenes})


def _veiled(party: Party) -> Party:
    consent: Consent | None = getattr(party, "consent", None)
    if consent is None:
        return party
    veiled = Consent(id=consent.id, person=NOT_SHOWN, granted_at=NOT_SHOWN, purpose=NOT_SHOWN)
    return party.model_copy(update={"consent": veiled})
