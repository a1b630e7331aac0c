"""Removes persons and purposes of consents from answers to clients without `consent:read`; for routes."""

from __future__ import annotations

from typing import TypeVar

from avatar.spec import Consent, Face, LipsyncSpec, RenderSpec, Scene, VideoFace, Voice

from policy import Principal
from studio.personas.schemas import Persona
from studio.personas.vrm import VrmFace

NOT_SHOWN = "(on record, not shown)"

Party = TypeVar("Party", Face, Face | VrmFace, VideoFace, Voice)
Spec = TypeVar("Spec", RenderSpec, LipsyncSpec, RenderSpec | LipsyncSpec)


def redact_persona(principal: Principal, persona: Persona) -> Persona:
    """Returns the persona as `principal` may see it; without `consent:read` only that there is a consent."""
    if principal.may("consent:read"):
        return persona
    return persona.model_copy(
        update={"face": _redact_party(persona.face), "voice": _redact_party(persona.voice)}
    )


def redact_voice(principal: Principal, voice: Voice) -> Voice:
    """Does the same for a voice."""
    return voice if principal.may("consent:read") else _redact_party(voice)


def redact_spec(principal: Principal, spec: Spec) -> Spec:
    """Does the same for the spec of a video."""
    if principal.may("consent:read"):
        return spec
    if isinstance(spec, LipsyncSpec):
        return spec.model_copy(update={"face": _redact_party(spec.face)})
    return spec.model_copy(update={"scenes": tuple(map(_redact_scene, spec.scenes))})


def _redact_scene(scene: Scene) -> Scene:
    return scene.with_cast(
        [
            one.model_copy(update={"face": _redact_party(one.face), "voice": _redact_party(one.voice)})
            for one in scene.all_speakers
        ]
    )


def _redact_party(party: Party) -> Party:
    consent: Consent | None = getattr(party, "consent", None)
    if consent is None:
        return party
    redacted = Consent(id=consent.id, person=NOT_SHOWN, granted_at=NOT_SHOWN, purpose=NOT_SHOWN)
    return party.model_copy(update={"consent": redacted})
