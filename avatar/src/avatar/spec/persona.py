"""The speaker: face and voice of a scene, and the recorded consent behind a real person's."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from avatar.spec.base import MediaRef, SpecModel
from avatar.spec.design import Design


class Consent(SpecModel):
    """The consent of a person to be shown or heard, its date and purpose. A real face or voice is refused
    without one.
    """

    id: str
    person: str = Field(min_length=1)
    granted_at: str = Field(description="ISO 8601 date or time")
    purpose: str = Field(min_length=1)
    evidence: MediaRef | None = None


class RigFace(SpecModel):
    """A drawn character: no likeness, no consent needed."""

    kind: Literal["rig"] = "rig"
    character: str = "nova"
    design: Design | None = Field(
        default=None, description="draws a character of your own in place of `character`"
    )


PhotoEngine = Literal["auto", "mesh", "liveportrait", "liveportrait+latentsync"]
VideoEngine = Literal["auto", "motion", "liveportrait", "latentsync"]
_ENGINE = "who draws; auto: the best that the machine's card, weights and memory allow, told in the result"
Pauses = Literal["filmed", "drawn"]
_PAUSES = (
    "what LatentSync shows in long pauses of the speech. filmed: the mouth that it was given, where its lips"
    " are shut (that of the video, or as LivePortrait moved the photo's), else as drawn. drawn: what the"
    " networks draw for silence. Other engines shut the mouth by themselves"
)

_DRIVING = (
    "a video of a person, or a motion template (`avatar reenact --save-template`), whose head movement,"
    " glances, brows and blinks the photo takes, counted from the first frame; back and forth when the speech"
    " is longer. The lips follow the speech. LivePortrait does it; where it does not draw, the head moves by"
    " the speech, with a notice"
)


class PhotoFace(SpecModel):
    """A portrait photo that speaks: warped in 2.5D, or moved by networks on a card.

    portrait: the measured JSON of `avatar prepare`, if any.
    """

    kind: Literal["photo"] = "photo"
    image: MediaRef
    portrait: MediaRef | None = None
    face_index: int | None = Field(
        default=None, ge=0, description="counted from the left, from 0; None takes the largest face"
    )
    driving: MediaRef | None = Field(default=None, description=_DRIVING)
    engine: PhotoEngine = Field(default="auto", description=_ENGINE)
    pauses: Pauses = Field(default="filmed", description=_PAUSES)
    consent: Consent | None = None


class VideoFace(SpecModel):
    """A motion video: the person's own movement is kept and the mouth is driven anew."""

    kind: Literal["video"] = "video"
    video: MediaRef
    start_ms: int = Field(default=0, ge=0)
    end_ms: int | None = Field(default=None, gt=0)
    fit: Literal["ping_pong", "loop", "trim"] = Field(
        default="ping_pong",
        description="what happens when the speech is longer than the video; trim holds the last frame",
    )
    face_index: int | None = Field(default=None, ge=0)
    engine: VideoEngine = Field(default="auto", description=_ENGINE)
    pauses: Pauses = Field(default="filmed", description=_PAUSES)
    consent: Consent | None = None


Face = Annotated[RigFace | PhotoFace | VideoFace, Field(discriminator="kind")]


class EspeakVoice(SpecModel):
    """espeak-ng, run as a separate program."""

    kind: Literal["espeak"] = "espeak"
    voice: str = "en-us"
    variant: str | None = Field(default="f2", description="espeak-ng voice variant; None for the plain voice")
    rate_wpm: int = Field(default=160, ge=80, le=450)
    pitch: int = Field(default=50, ge=0, le=99)
    pitch_range: int = Field(default=50, ge=0, le=99)


FLITE_WPM = 175
"""The pace of flite's voices as they are."""


class FliteVoice(SpecModel):
    """A statistical voice of CMU flite for English, run as a separate program."""

    kind: Literal["flite"] = "flite"
    voice: Literal["slt", "rms", "awb"] = Field(
        default="slt", description="slt: a woman, rms: a man, awb: a Scottish man"
    )
    pace: float = Field(default=1.0, ge=0.5, le=2.0, description="1 is about 175 words a minute")
    pitch: float = Field(
        default=0.0,
        ge=-6.0,
        le=6.0,
        description="semitones that pitch and timbre are moved: up for a smaller speaker",
    )
    otherwise: EspeakVoice = Field(
        default=EspeakVoice(), description="speaks other languages, and English where flite is not installed"
    )


class OpenAIVoice(SpecModel):
    """Any server with `POST {base_url}/v1/audio/speech`. The key is in the variable named `api_key_env`."""

    kind: Literal["openai"] = "openai"
    base_url: str
    model: str = "tts-1"
    voice: str = "alloy"
    speed: float = Field(default=1.0, ge=0.25, le=4.0)
    api_key_env: str | None = None
    cloned: bool = False
    consent: Consent | None = None


class QwenVoice(SpecModel):
    """A Qwen3-TTS-style service: `voice_id` in, 24 kHz mono WAV out."""

    kind: Literal["qwen"] = "qwen"
    base_url: str
    voice_id: str
    language: str | None = None
    api_key_env: str | None = None
    cloned: bool = True
    consent: Consent | None = None


class PiperVoice(SpecModel):
    """Piper, run as a separate program, with a voice file that the operator has added (`models add`)."""

    kind: Literal["piper"] = "piper"
    voice: str = Field(
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$",
        max_length=120,
        description="name of the file, such as en_US-amy-medium",
    )
    speaker: int | None = Field(default=None, ge=0, description="of a voice that has several")
    speed: float = Field(default=1.0, ge=0.5, le=2.0)
    cloned: bool = False
    consent: Consent | None = None


LOCAL_VOICES = (EspeakVoice, FliteVoice, PiperVoice)
"""Programs beside the worker: they send the script to nobody and need no key."""

Voice = Annotated[
    EspeakVoice | FliteVoice | OpenAIVoice | QwenVoice | PiperVoice, Field(discriminator="kind")
]


def at_rate(voice: Voice, words_per_minute: int) -> Voice:
    """Returns a voice that speaks about so many words a minute; others than the built-in ones as they are."""
    if isinstance(voice, EspeakVoice):
        return voice.model_copy(update={"rate_wpm": words_per_minute})
    if isinstance(voice, FliteVoice):
        pace = min(2.0, max(0.5, round(words_per_minute / FLITE_WPM, 3)))
        return voice.model_copy(
            update={"pace": pace, "otherwise": at_rate(voice.otherwise, words_per_minute)}
        )
    return voice
