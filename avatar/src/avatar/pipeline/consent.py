"""Refuses a real face or cloned voice without a recorded consent; every verb that makes pictures asks."""

from __future__ import annotations

from avatar.errors import InvalidInput
from avatar.spec import (
    Consent,
    EspeakVoice,
    Face,
    FliteVoice,
    OpenAIVoice,
    PhotoFace,
    PiperVoice,
    QwenVoice,
    Scene,
    VideoFace,
)


def require_consent(scene: Scene) -> None:
    """Raises `InvalidInput` (`consent.required`) when `scene` shows or imitates somebody who has not
    agreed.
    """
    if scene.speaker_visible:
        require_face_consent(scene.face)
    voice = _other_voice(scene)
    if voice is not None and voice.cloned and voice.consent is None:
        raise InvalidInput(
            "consent.required",
            "The cloned voice imitates a person, and no consent of theirs is recorded.",
            "Record who agreed, when and for what purpose, in the voice's `consent`.",
        )


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
    if (voice := _other_voice(scene)) is not None:
        found.append(voice.consent)
    return tuple(consent for consent in found if consent is not None)


def _other_voice(scene: Scene) -> OpenAIVoice | QwenVoice | PiperVoice | None:
    """The voice that speaks, where it may be somebody's."""
    if scene.audio is not None or isinstance(scene.voice, EspeakVoice | FliteVoice):
        return None
    return scene.voice
