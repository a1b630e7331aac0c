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
    for face in scene.faces:
        require_face_consent(face)
    for voice in _other_voices(scene):
        if voice.cloned and voice.consent is None:
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
    found = [face.consent for face in scene.faces if isinstance(face, PhotoFace | VideoFace)]
    found += [voice.consent for voice in _other_voices(scene)]
    return tuple(consent for consent in found if consent is not None)


def _other_voices(scene: Scene) -> list[OpenAIVoice | QwenVoice | PiperVoice]:
    """The voices of a scene that may be somebody's."""
    voices = () if scene.has_foreign_sound else (one.voice for one in scene.cast)
    return [voice for voice in voices if not isinstance(voice, EspeakVoice | FliteVoice)]
