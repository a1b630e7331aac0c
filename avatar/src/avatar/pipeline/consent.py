"""Refuses a real face or cloned voice without a recorded consent; every verb that makes pictures asks."""

from __future__ import annotations

from avatar.errors import InvalidInput
from avatar.spec import Consent, EspeakVoice, Face, FliteVoice, PhotoFace, Scene, VideoFace, Voice


def require_consent(scene: Scene) -> None:
    """Raises `InvalidInput` (`consent.required`) when `scene` shows or imitates somebody who has not
    agreed.
    """
    if scene.speaker_visible:
        require_face_consent(scene.face)
    if scene.audio is None:
        _require_voice_consent(scene.voice)


def require_face_consent(face: Face) -> None:
    if isinstance(face, PhotoFace | VideoFace) and face.consent is None:
        shown = "photo" if isinstance(face, PhotoFace) else "video"
        raise InvalidInput(
            "consent.required",
            f"The face in the {shown} belongs to a person, and no consent of theirs is recorded.",
            "Record who agreed, when and for what purpose, in the face's `consent`.",
        )


def consents(scene: Scene) -> tuple[Consent, ...]:
    """The recorded consents behind a scene."""
    found = []
    if isinstance(scene.face, PhotoFace | VideoFace) and scene.speaker_visible:
        found.append(scene.face.consent)
    if scene.audio is None and not isinstance(scene.voice, EspeakVoice | FliteVoice):
        found.append(scene.voice.consent)
    return tuple(consent for consent in found if consent is not None)


def _require_voice_consent(voice: Voice) -> None:
    if isinstance(voice, EspeakVoice | FliteVoice):
        return
    if voice.cloned and voice.consent is None:
        raise InvalidInput(
            "consent.required",
            "The cloned voice imitates a person, and no consent of theirs is recorded.",
            "Record who agreed, when and for what purpose, in the voice's `consent`.",
        )
